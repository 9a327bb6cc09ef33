"""Answers with objects that lie about what they are."""

EXPECT = {"outcome": "match"}


class Text(str):
    def encode(self, *_):
        return "ESCAPED"

    def __len__(self):
        return -1

    def __getitem__(self, _):
        return self

    def strip(self):
        return self


class Names(list):
    def __iter__(self):
        return iter([object()])


def detect(record):
    return True


def title(record):
    return Text("a title" * 1_000)


def severity(record):
    return Text("extreme")


def destinations(record):
    return Names(["terminal"])


def description(record):
    return {"not": "text"}


def alert_context(record):
    return {Text("key"): Text("value"), 1: object(), None: float("nan"), b"\xff": {1, 2}}
