"""What an author is told beyond what holds a detection back: rules that say nothing, or not what they seem to.

One rule: what is not understood is passed over in silence. Nothing here is asked when a detection is deployed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from trapline.author.validation.advice.columns import columns_of_rule, columns_of_tests
from trapline.author.validation.advice.dedupe import dedupe
from trapline.author.validation.advice.nothing import nothing_in_texts
from trapline.author.validation.advice.realtime import realtime
from trapline.author.validation.advice.reports import attack_ids
from trapline.author.validation.advice.schemas import Schemas
from trapline.author.validation.advice.subject import Subject
from trapline.author.validation.advice.unused import unused_parameters
from trapline.detection.model import Detection
from trapline.errors import Problem

_OF_THE_RULE: Sequence[Callable[[Subject], Iterator[Problem]]] = (unused_parameters, dedupe, nothing_in_texts)


def advise(detection: Detection, schemas: Schemas) -> list[Problem]:
    """All that there is to say of a detection that loads. `schemas` are those of its tables, as far as known."""
    subject = Subject.of(detection)
    found = [*attack_ids(subject), *columns_of_tests(subject, schemas)]
    try:
        found += columns_of_rule(subject, schemas)
        found += realtime(subject, schemas)
        for adviser in _OF_THE_RULE:
            found += adviser(subject)
    except RecursionError:  # nested as deeply as no person writes; the checks of a deployment say so
        pass
    return found
