"""Git: mirror, fetch, read blobs at a resolved commit. No work tree."""
