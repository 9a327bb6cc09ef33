"""Opens the controller's own database, to read what is known and to resolve its own alerts."""

import sqlite3

EXPECT = {"outcome": "raised", "error": "unable to open database file", "process": "not stopped"}


def detect(record):
    with sqlite3.connect(f"file:{record['known']['database']}?mode=rw", uri=True) as database:
        database.execute("SELECT * FROM secrets")
        return True
