"""One Sigma rule as a detection, or the reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trapline.author.sigma.about import About, about
from trapline.author.sigma.config import config
from trapline.author.sigma.examples import examples
from trapline.author.sigma.fields import Field, field
from trapline.author.sigma.reasons import NotConverted
from trapline.author.sigma.rule import read_rule
from trapline.author.sigma.script import script
from trapline.config.document import Document
from trapline.errors import Problem


@dataclass(frozen=True, slots=True)
class Converted:
    """A rule as the two files of a detection. `has_tests` where records could be made up for it."""

    title: str
    id: str
    enabled: bool
    script: str
    config: str
    has_tests: bool


def convert(document: Document, *, name: str, table: str) -> tuple[Converted | None, list[Problem]]:
    """The rule as a detection of that name, with warnings; or None, with the reason."""
    try:
        _check_kind(document.data)
        rule = read_rule(document.data.get("detection"))
        words = about(document.data)
        shown, problems = _shown(document, words)
        code = script(rule, shown)
    except NotConverted as reason:
        return None, [document.problem(reason.keys, reason.code, reason.message, reason.remedy)]
    problems += [
        document.problem(
            ("tags", index), "sigma-rule", f"{message}; the tag is kept as it is", remedy, severity="warning"
        )
        for index, message, remedy in words.doubts
    ]
    made_up = examples(rule.condition, code)
    text = config(words, name=name, table=table, examples=made_up)
    return Converted(words.title, words.id, words.is_enabled, code, text, made_up is not None), problems


def _check_kind(data: Mapping[str, Any]) -> None:
    """Raises NotConverted for what is no rule, or one on other records."""
    if "correlation" in data:
        message = "a correlation joins what other rules find"
        remedy = "convert those rules, and set `alert.threshold`, or write a rule in the batch format"
        raise NotConverted(("correlation",), "sigma-correlation", message, remedy)
    if "filter" in data:
        message = "a filter changes other rules"
        raise NotConverted(("filter",), "sigma-correlation", message, "add its conditions to the rules, or suppress")
    if "action" in data:
        message = "the file is a collection of the old kind, whose documents share keys"
        raise NotConverted(("action",), "sigma-collection", message, "write each rule out")
    source = data.get("logsource")
    if not isinstance(source, Mapping):
        message = "the rule has no `logsource`"
        raise NotConverted(("logsource",), "sigma-logsource", message, "add `product: aws` and `service: cloudtrail`")
    said = {key: str(source[key]).lower() for key in ("product", "service", "category") if source.get(key)}
    if said != {"product": "aws", "service": "cloudtrail"}:
        shown = ", ".join(f"{key} {value}" for key, value in said.items()) or "nothing"
        message = f"the rule is about {shown}, not about CloudTrail"
        remedy = "only rules of `product: aws`, `service: cloudtrail` are converted"
        raise NotConverted(("logsource",), "sigma-logsource", message, remedy)


def _shown(document: Document, words: About) -> tuple[list[Field], list[Problem]]:
    """The fields that the rule would have shown, and a warning for each that there is not."""
    shown: list[Field] = []
    problems: list[Problem] = []
    for index, name in enumerate(words.fields):
        try:
            shown.append(field(name, ("fields", index)))
        except NotConverted as reason:
            message = f"{reason.message}; it is left out of `alert_context`"
            problems.append(document.problem(reason.keys, reason.code, message, reason.remedy, severity="warning"))
    return shown, problems
