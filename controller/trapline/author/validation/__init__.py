"""All that can be said of a repository of detections without running anything."""
