"""What `enable` and `disable` have done, for people."""

from __future__ import annotations

from collections.abc import Sequence

from trapline.author.registry.choose import Chosen
from trapline.cli.output import counted, errors, print_problems, say
from trapline.cli.registry.common import NEXT
from trapline.detection.model import Detection

_SHOWN = 20


def print_chosen(chosen: Chosen) -> None:
    """Prints what runs from now on, what does not, and what holds it back."""
    for detections, what in ((chosen.on, "turned on"), (chosen.off, "turned off")):
        if detections:
            say(f"{what}: {_names(detections)}")
    if chosen.still_off:
        say(f"still off, as `overrides` says: {_names(chosen.still_off)}", to=errors, style="yellow")
    if chosen.problems:
        say(f"held back until this is mended: {counted(len(chosen.problems), 'problem')}", to=errors, style="yellow")
        print_problems(chosen.problems[:_SHOWN])
    if not chosen.desk.is_changed:
        say("nothing to change: it is so already")
    elif chosen.on or chosen.off:
        say(NEXT)
    else:
        say("no detection is turned on or off by that, so far")


def _names(detections: Sequence[Detection]) -> str:
    names = sorted(one.name for one in detections)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
