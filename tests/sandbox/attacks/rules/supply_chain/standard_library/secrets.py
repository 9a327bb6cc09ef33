"""A module of the detection by the name of one of the standard library."""

ESCAPED = True
