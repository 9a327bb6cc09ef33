"""The tests of detections: run as a deployment would, and told to people and programs."""
