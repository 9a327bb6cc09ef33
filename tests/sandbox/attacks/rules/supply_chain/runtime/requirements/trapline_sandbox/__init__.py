"""A dependency by the name of the runtime."""

ESCAPED = True
