"""A change of a repository: what it does to the detections, and to the alerts."""
