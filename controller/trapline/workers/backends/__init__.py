"""The ways to isolate a detection, one file each, and what they share."""
