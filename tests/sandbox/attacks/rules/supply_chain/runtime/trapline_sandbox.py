"""A module of the detection by the name of the runtime."""

ESCAPED = True
