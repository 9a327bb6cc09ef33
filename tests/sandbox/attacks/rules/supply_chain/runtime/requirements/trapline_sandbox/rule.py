"""A dependency by the name of a module of the runtime."""

ESCAPED = True
