"""Detections of packs turned on and off, by the fewest words in trapline.yml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trapline.author.registry.desk import Desk
from trapline.author.registry.splice import Append, Put, Remove
from trapline.config.words import did_you_mean
from trapline.detection.check import check
from trapline.detection.model import Detection, DetectionConfig
from trapline.errors import Problem, TraplineError
from trapline.packs.choose import is_used, selects, selects_by_name
from trapline.packs.contents import PackContents
from trapline.settings import PackSettings
from trapline.settings.packs import ALL
from trapline.settings.packs import selector as checked_selector

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Choice:
    """A pack, and one of its detections by name, or an entry as `enable` has it."""

    pack: str
    selector: str

    def __str__(self) -> str:
        return f"{self.pack}/{self.selector}"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What choices come to, not saved yet: the detections that run now and did not, and the other way round.

    `still_off` are covered by what was turned on, and turned off by themselves. `problems` hold back what runs now.
    """

    desk: Desk
    on: Sequence[Detection]
    off: Sequence[Detection]
    still_off: Sequence[Detection] = ()
    problems: Sequence[Problem] = ()


@dataclass(slots=True)
class _Packs:
    """Packs as they stand after the choices so far; each is fetched once."""

    desk: Desk
    before: dict[str, PackContents] = field(default_factory=dict)

    def read(self, name: str) -> PackContents:
        pack = self.desk.pack(name)
        found = self.desk.contents(name, pack)
        self.before.setdefault(name, found)
        return found


def choices(words: Sequence[str], desk: Desk) -> list[Choice]:
    """What somebody names: `PACK/NAME`, or a pack and then names and selectors of it. Raises TraplineError."""
    found: list[Choice] = []
    pack = ""
    named: set[str] = set()
    for word in words:
        before, slash, after = word.partition("/")
        if word in desk.settings.packs:
            pack = word
            named.add(word)
        elif slash and not (pack and before not in desk.settings.packs):
            desk.pack(before)
            found.append(_choice(before, after))
        elif pack:
            found.append(_choice(pack, word))
            named.discard(pack)
        else:
            desk.pack(word)
    for name in sorted(named):
        raise TraplineError(f"nothing of the pack `{name}` is named", remedy=_how_to_name(name))
    return found


def _choice(pack: str, selector: str) -> Choice:
    try:
        return Choice(pack, checked_selector(selector))
    except ValueError as error:
        message = f"nothing of the pack `{pack}` is named by `{selector}`: {error}"
        raise TraplineError(message, remedy=_how_to_name(pack)) from None


def _how_to_name(pack: str) -> str:
    return f"name some of it: `{pack}/NAME`, or after `{pack}` names, `tag:iam`, `attack:t1078`, `severity:high`, {ALL}"


def enable(desk: Desk, wanted: Sequence[Choice]) -> Chosen:
    """Raises TraplineError for what the packs do not have."""
    packs = _Packs(desk)
    for choice in wanted:
        contents, pack = packs.read(choice.pack), packs.desk.pack(choice.pack)
        _known(choice, contents)
        packs.desk = _enabled(packs.desk, choice, pack, contents)
    return _outcome(packs, wanted)


def disable(desk: Desk, wanted: Sequence[Choice]) -> Chosen:
    """What is still covered by something else that is enabled is turned off by itself. Raises TraplineError."""
    packs = _Packs(desk)
    for choice in wanted:
        contents, pack = packs.read(choice.pack), packs.desk.pack(choice.pack)
        if choice.selector not in pack.enable:
            if not selects_by_name(choice.selector):
                near = did_you_mean(choice.selector, pack.enable) or f"it has: {', '.join(pack.enable) or 'nothing'}"
                message = f"`enable` of the pack `{choice.pack}` has no `{choice.selector}`"
                raise TraplineError(message, remedy=near)
            _known(choice, contents)
        packs.desk = _disabled(packs.desk, choice, pack, contents)
    return _outcome(packs, ())


def _enabled(desk: Desk, choice: Choice, pack: PackSettings, contents: PackContents) -> Desk:
    place = ("packs", choice.pack)
    override = pack.overrides.get(choice.selector)
    if override is not None and override.enabled is False:
        desk = desk.changed([Remove((*place, "overrides", choice.selector, "enabled"), place)])
        pack = desk.pack(choice.pack)
    elif override is not None and override.enabled:
        return desk
    by_name = [one for one in contents.detections if _name(one) == choice.selector]
    covered = any(selects(selector, _written(one)) for selector in pack.enable for one in by_name)
    if covered or choice.selector in pack.enable:
        return desk
    return desk.changed([Append((*place, "enable"), choice.selector)])


def _disabled(desk: Desk, choice: Choice, pack: PackSettings, contents: PackContents) -> Desk:
    place = ("packs", choice.pack)
    while choice.selector in pack.enable:
        desk = desk.changed([Remove((*place, "enable", pack.enable.index(choice.selector)), place)])
        pack = desk.pack(choice.pack)
    override = pack.overrides.get(choice.selector)
    if override is not None and override.enabled:
        desk = desk.changed([Remove((*place, "overrides", choice.selector, "enabled"), place)])
        pack = desk.pack(choice.pack)
    for detection in _meant(choice, contents):
        if is_used(_written(detection), pack):
            desk = desk.changed([Put((*place, "overrides", _name(detection), "enabled"), value=False)])
            pack = desk.pack(choice.pack)
    return desk


def _meant(choice: Choice, contents: PackContents) -> list[Detection]:
    """The detections that a choice turns off by name; a selector only takes back what it turned on."""
    if not selects_by_name(choice.selector):
        return []
    return [one for one in contents.detections if selects(choice.selector, _written(one))]


def _known(choice: Choice, contents: PackContents) -> None:
    if any(selects(choice.selector, _written(one)) for one in contents.detections):
        return
    for broken in contents.broken:
        if broken.identity == str(choice):
            remedy = f"see whether there is a newer version: `trapline registry update {choice.pack}`"
            raise TraplineError(f"{choice} cannot be loaded: {broken.problems[0]}", remedy=remedy)
    if selects_by_name(choice.selector):
        said = dict.fromkeys(_name(one) for one in contents.detections)
        message = f"the pack `{choice.pack}` has no detection `{choice.selector}`"
    else:
        kind = choice.selector.partition(":")[0]
        said = dict.fromkeys(f"{kind}:{one}" for each in contents.detections for one in _said(kind, _written(each)))
        message = f"`{choice.selector}` covers no detection of the pack `{choice.pack}`"
    some = ", ".join(sorted(said)[:_SHOWN]) or "nothing"
    more = " and others" if len(said) > _SHOWN else ""
    raise TraplineError(message, remedy=did_you_mean(choice.selector.lower(), said) or f"it has: {some}{more}")


def _said(kind: str, config: DetectionConfig) -> list[str]:
    """What a detection says of itself that such a selector could have named."""
    match kind:
        case "tag":
            return list(config.tags)
        case "attack":
            return [part for entry in config.reports.attack for part in entry.lower().split(":")]
        case _:
            return [config.alert.severity]


def _outcome(packs: _Packs, enabled: Sequence[Choice]) -> Chosen:
    desk = packs.desk
    after = {name: desk.contents(name, desk.pack(name)) for name in packs.before}
    were, are = _used(packs.before), _used(after)
    on = [one for identity, one in are.items() if identity not in were]
    settings = desk.settings
    still_off = [
        one
        for choice in enabled
        for one in after[choice.pack].detections
        if selects(choice.selector, _written(one)) and not one.config.enabled
    ]
    problems = [
        problem
        for one in on
        for problem in check(
            one, tables=settings.tables, destinations=settings.destinations, ceiling=settings.sandbox.ceiling
        )
        if problem.severity == "error"
    ]
    return Chosen(desk, on, [one for identity, one in were.items() if identity not in are], still_off, problems)


def _used(packs: Mapping[str, PackContents]) -> dict[str, Detection]:
    return {one.identity: one for contents in packs.values() for one in contents.used}


def _name(detection: Detection) -> str:
    return detection.as_written.config.name


def _written(detection: Detection) -> DetectionConfig:
    return detection.as_written.config
