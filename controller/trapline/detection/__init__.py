"""The model of a detection, loading both formats, and lint. No I/O beyond the files it is handed."""
