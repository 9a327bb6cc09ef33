"""Trying one rule on samples of its tables, again after each save."""
