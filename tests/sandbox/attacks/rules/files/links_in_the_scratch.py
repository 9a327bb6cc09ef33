"""Fills its scratch folder with links to what is not its own, for whoever tidies up or looks in later."""

import os

EXPECT = {"outcome": "nothing"}


def detect(record):
    os.symlink(record["known"]["writable"], "link-to-a-folder")
    os.symlink(record["known"]["secret_file"], "link-to-a-file")
    os.symlink("/", "link-to-the-root")
    os.mkdir("locked")
    os.symlink(record["known"]["writable"], "locked/link")
    os.chmod("locked", 0)
    return False
