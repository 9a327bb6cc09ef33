"""A backtest: what detections would have said, for people, for programs and as a page."""
