"""Answers with something that is no frame at all: what a program that prints would say."""

from forge import say

EXPECT = {"outcome": "protocol", "error": "a frame begins with"}


def detect(record):
    say(b"HTTP/1.1 200 OK\r\n\r\n")
    return False
