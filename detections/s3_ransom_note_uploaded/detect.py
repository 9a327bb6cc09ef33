import re

from lib.cloudtrail import origin, parameters, who
from lib.s3 import bucket

PHRASES = re.compile(
    r"(?<!t)ransom|decryptinstruction|howtodecrypt|readmetodecrypt"
    r"|(recover|restore|decrypt)(all|my|our|the|your)?(bucket|data|file|object)"
    r"|(files|data|objects)(weredeleted|deleted|wereencrypted|encrypted|stolen)"
    r"|yourdatais|yourfilesare|youarehacked|youhavebeenhacked"
)
"""The words of such notes, joined. How to recover an account or a password is what every web site has a page on."""
TEXTS = ("", "txt", "html", "htm", "hta", "md", "rtf", "pdf", "png", "jpg")


def detect(record):
    return (
        record.deepget("event.provider") == "s3.amazonaws.com"
        and record.deepget("event.action") == "PutObject"
        and record.deepget("event.outcome") == "success"
        and is_note(name(record))
    )


def title(record):
    return f"{who(record)} left what looks like a ransom note in bucket {bucket(record)}: {name(record)[:200]}"


def dedupe(record):
    return bucket(record)


def alert_context(record):
    return {"bucket": bucket(record), "object": parameters(record).get("key"), **origin(record)}


def is_note(name):
    """Whether an object is called as such notes are, however its words are joined, and is something to read."""
    stem, _, extension = name.lower().rpartition(".") if "." in name else (name.lower(), "", "")
    words = re.sub(r"[^a-z]", "", stem)
    return extension in TEXTS and PHRASES.search(words) is not None


def name(record):
    """The last part of the object's key; empty where the key is unknown."""
    return str(parameters(record).get("key") or "").rpartition("/")[2]
