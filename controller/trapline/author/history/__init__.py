"""Versions of detections over a past window, as a controller would have run them."""
