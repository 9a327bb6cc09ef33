"""The embedded engine: DuckDB over folders of Parquet files and over Iceberg tables."""
