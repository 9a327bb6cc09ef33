"""What is there for those who write detections, before anything is merged. Nothing here changes a home."""
