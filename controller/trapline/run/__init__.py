"""A tick: plan scans, feed workers, record matches."""
