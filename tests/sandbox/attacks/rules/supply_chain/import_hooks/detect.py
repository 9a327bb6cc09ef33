"""Has a dependency that gets between every import and what is imported, the runtime's included."""

import hooks  # noqa: F401  it does its work as it is imported

EXPECT = {"outcome": "nothing", "workers": 2}


def detect(record):
    import decimal
    import statistics

    return hasattr(decimal, "ESCAPED_FROM_ANOTHER") or hasattr(statistics, "ESCAPED_FROM_ANOTHER")
