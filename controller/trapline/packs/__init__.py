"""Packs: detections of others, fetched, verified, chosen and put beside the repository's own."""
