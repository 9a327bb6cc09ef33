"""The gate that a pack has to pass before others can rely on it.

One rule: an error is what would hurt those who use the pack, or leave them alone with an alert; all else is advice, a
warning.
"""
