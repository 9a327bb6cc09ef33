"""A dependency by the name of one of the standard library."""

ESCAPED = True
