"""The one database: its schema and its transactions. No decisions here."""
