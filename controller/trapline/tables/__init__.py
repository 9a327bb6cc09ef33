"""Making tables: normalising deliveries to ECS and writing partitioned Parquet."""
