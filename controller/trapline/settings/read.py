"""The text of trapline.yml -> Settings, with every problem at its line."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from trapline.config.document import Document, UnreadableConfig, present, read_document
from trapline.config.files import File
from trapline.config.limits import shown_limit
from trapline.config.secrets import FORMS, is_reference, references
from trapline.config.words import did_you_mean, explain, unknown_keys
from trapline.errors import Problem, TraplineError, has_errors
from trapline.settings.model import FILE_NAME, Settings

_SECTIONS = ("schedule", "realtime", "sandbox", "inference", "error_budget", "alerts", "prune")


class SettingsError(TraplineError):
    """trapline.yml cannot be used; `problems` says why, warnings included."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = next(problem for problem in problems if problem.severity == "error")
        place = f"{first.path}:{first.line}" if first.line else first.path
        super().__init__(f"{place}: {first.message}", remedy=first.remedy)
        self.problems = tuple(problems)


def load(files: Mapping[str, File], *, env: Mapping[str, str] | None = None) -> tuple[Settings, list[Problem]]:
    """The settings of a repository; the defaults, and a warning, where it has no trapline.yml."""
    file = files.get(FILE_NAME)
    if file is None:
        found = "trapline.yaml is not read" if "trapline.yaml" in files else "the repository has no trapline.yml"
        remedy = "rename it to trapline.yml" if "trapline.yaml" in files else "add one at its root, with `tables:`"
        return Settings(), [Problem(FILE_NAME, 0, "warning", "no-settings", f"{found}: defaults are used", remedy)]
    if file.absent:
        raise SettingsError([Problem(FILE_NAME, 0, "error", "file-not-read", f"the file {file.absent}")])
    return parse(file.content, env=env)


def parse(
    text: bytes, *, path: str = FILE_NAME, env: Mapping[str, str] | None = None
) -> tuple[Settings, list[Problem]]:
    """The settings and warnings. Raises SettingsError. With `env`, secrets that are not set in it are warned of."""
    try:
        document = read_document(path, text)
    except UnreadableConfig as error:
        if error.problem.code == "empty":
            return Settings(), [replace(error.problem, severity="warning")]
        raise SettingsError([error.problem]) from None
    data = present(document.data, groups=_SECTIONS)
    problems = [*document.warnings, *unknown_keys(Settings, document, data), *_misplaced(document, data)]
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        raise SettingsError([*problems, *explain(error, document, data)]) from None
    settings.written_in(document)
    problems += [
        *_unknown_destinations(settings),
        *_unknown_lakes(settings),
        *_of_packs(settings),
        *_above_ceiling(settings),
        *_secrets(settings, document, env),
    ]
    if has_errors(problems):
        raise SettingsError(problems)
    return settings, problems


def _misplaced(document: Document, data: Mapping[str, Any]) -> Iterator[Problem]:
    """Ignoring this one would leave somebody in the belief that commits are verified."""
    if "verify" in data:
        message = "commits are not verified by what they say themselves"
        remedy = "remove it, and start the controller with --verify ssh (or gpg) --trusted-keys FILE"
        yield document.problem(("verify",), "misplaced", message, remedy)


def _unknown_destinations(settings: Settings) -> Iterator[Problem]:
    known: Collection[str] = settings.destinations
    for key in ("default_destinations", "operations"):
        for index, name in enumerate(getattr(settings, key)):
            if name not in known:
                remedy = f"{did_you_mean(name, known)} add it under destinations: or fix the name".strip()
                message = f"there is no destination `{name}`"
                yield settings.problem((key, index), message, remedy, "unknown-destination")


def _unknown_lakes(settings: Settings) -> Iterator[Problem]:
    for name, table in settings.tables.items():
        place = ("tables", name)
        if table.engine == "athena" and settings.athena is None:
            message, remedy = f"`{name}` is Athena's, and there is no `athena` section", "add athena: with an output:"
            yield settings.problem((*place, "engine"), message, remedy, "no-athena")
        if table.iceberg and table.iceberg.catalog not in settings.catalogs:
            message = f"there is no catalog `{table.iceberg.catalog}`"
            near = did_you_mean(table.iceberg.catalog, settings.catalogs)
            remedy = f"{near} add it under catalogs: or fix the name".strip()
            yield settings.problem((*place, "iceberg", "catalog"), message, remedy, "unknown-catalog")


def _of_packs(settings: Settings) -> Iterator[Problem]:
    for name, pack in settings.packs.items():
        for theirs, ours in pack.tables.items():
            if ours not in settings.tables:
                remedy = f"{did_you_mean(ours, settings.tables)} add it under tables: or fix the name".strip()
                message = f"there is no table `{ours}`"
                yield settings.problem(("packs", name, "tables", theirs), message, remedy, "unknown-table")
        for detection, override in pack.overrides.items():
            place = ("packs", name, "overrides", detection)
            for index, destination in enumerate(override.destinations or ()):
                if destination not in settings.destinations:
                    near = did_you_mean(destination, settings.destinations)
                    remedy = f"{near} add it under destinations: or fix the name".strip()
                    message = f"there is no destination `{destination}`"
                    yield settings.problem((*place, "destinations", index), message, remedy, "unknown-destination")
            for key in ("where", "exclude"):
                if condition := getattr(override, key):
                    from trapline.detection.where import condition_error  # takes long to load, and few have one

                    if said := condition_error(condition):
                        yield settings.problem(
                            (*place, key), said[0].replace("`where`", f"`{key}`"), said[1], "invalid-where"
                        )


def _above_ceiling(settings: Settings) -> Iterator[Problem]:
    sandbox = settings.sandbox
    for name, most in sandbox.ceiling.model_dump(exclude_none=True).items():
        if getattr(sandbox, name) > most:
            message = f"`sandbox.{name}` is above `sandbox.ceiling.{name}`, which is {shown_limit(most)}"
            yield settings.problem(("sandbox", name), message, "lower it, or raise the ceiling", "above-ceiling")


def _secrets(settings: Settings, document: Document, env: Mapping[str, str] | None) -> Iterator[Problem]:
    users: list[tuple[tuple[str, ...], Any, str]] = [
        (("destinations", name), destination.options, f"`{name}` cannot deliver")
        for name, destination in settings.destinations.items()
    ]
    users += [
        (("catalogs", name), properties, f"the tables of `{name}` cannot be read")
        for name, properties in settings.catalogs.items()
    ]
    users += [
        (("packs", name), {"token": pack.token}, f"the pack `{name}` cannot be fetched")
        for name, pack in settings.packs.items()
        if pack.token
    ]
    if settings.on_deploy:
        users.append((("on_deploy",), settings.on_deploy.model_dump(), "nobody can be told of deployments"))
    for place, options, consequence in users:
        for keys, reference in references(options):
            if not is_reference(reference):
                message = f"${{{reference}}} is no reference to a secret"
                remedy = f"write {FORMS}"
                yield settings.problem((*place, *keys), message, remedy, "invalid-reference")
            elif env is not None and (variable := reference.removeprefix("env:")) != reference and variable not in env:
                message = f"{variable} is not set in this environment, so that {consequence} from here"
                remedy = f"set {variable} where the controller runs"
                yield document.problem((*place, *keys), "secret-not-set", message, remedy, severity="warning")
