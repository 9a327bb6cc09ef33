"""A file of the detection by the name of the entry point."""

raise SystemExit("ESCAPED")
