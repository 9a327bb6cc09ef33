"""Changes the record that it was given, by all the ways that a mapping has."""

EXPECT = {"outcome": "raised", "error": "read-only"}


def detect(record):
    for change in (
        lambda: record.__setitem__("n", 7),
        lambda: setattr(record, "n", 7),
        lambda: record.update(n=7),
        lambda: record.pop("n"),
    ):
        try:
            change()
        except TypeError:
            continue
        return True
    record["event"]["action"] = "changed"
    return True
