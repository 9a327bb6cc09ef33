"""Counting different things over the records of one scan, for detections in the batch format."""

from collections import defaultdict


def distinct(records, *, by, what, enough, within):
    """Yields `(record, seen)` for each `by(record)` with `enough` different `what(record)` in a time of `within`.

    Once for each, at the record that made them enough; `seen` is what there was in that time, sorted. `what` gives one
    thing or a list of things. A record for which one of the two is None does not count. `within` is a timedelta.
    """
    latest = defaultdict(dict)
    done = set()
    for record in sorted(records, key=lambda record: record["ts"]):
        key, things = by(record), what(record)
        if key is None or things is None or key in done:
            continue
        now = record["ts"]
        latest[key].update(dict.fromkeys(things if isinstance(things, list) else [things], now))
        seen = sorted(thing for thing, at in latest[key].items() if now - at <= within)
        if len(seen) >= enough:
            done.add(key)
            yield record, seen
