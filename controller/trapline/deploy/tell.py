"""Telling deploy results: to the webhook of `on_deploy`, and to a command of the operator.

Each teller has its own place in the table of events, which moves on only once a batch has been taken; the end of a
batch is written down before it is first sent. So nothing is lost whatever is killed when, and what is told twice has
the same id and content.
"""

from __future__ import annotations

import os
import random as _random
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import sqlalchemy as sa
from pydantic import ValidationError

from trapline.clock import Clock
from trapline.config.redact import hide_secrets
from trapline.config.secrets import SecretError, resolve_secrets
from trapline.config.words import dotted
from trapline.deploy.ledger import backoff
from trapline.deploy.results import DeployResult, end_of_batch, result_of_events, where_to_begin
from trapline.errors import Problem, TraplineError
from trapline.settings import Settings
from trapline.state.database import Database, upsert
from trapline.state.schema import meta
from trapline_plugins.api import Delivered, Retry
from trapline_plugins.text import one_line
from trapline_plugins.webhook import WebhookConfig, post

COMMAND_SECONDS = 60.0
WEBHOOK, COMMAND = "on_deploy", "--on-deploy"
_LONGEST_PAUSE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a result was not taken. `after` is when the other side wants to be asked again, where it said so."""

    reason: str
    after: timedelta = timedelta()


Send = Callable[[DeployResult], Failure | None]


class Teller:
    """One way of telling. Made for the first time, it begins with what the revision in force has brought."""

    def __init__(
        self,
        name: str,
        send: Send,
        *,
        database: Database,
        now: Clock,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self.name = name
        self._send = send
        self._database = database
        self._now = now
        self._random = random
        self._key = f"told:{name}"
        self._attempts = 0
        self._next_attempt_at: datetime | None = None
        self._reason = ""
        self._place()

    def tell(self) -> str | None:
        """Tells one batch of what is new. Returns why that failed, unless it is what failed the last time; None where
        all is told or nothing is due."""
        if self._next_attempt_at and self._now() < self._next_attempt_at:
            return None
        place = self._claimed()
        if place is None:
            return None
        result = result_of_events(self._database, after=place.told, until=place.until)
        failure = self._send(result) if result else None
        if failure:
            return self._failed(failure)
        self._move(place, _Place(place.until, place.until))
        self._attempts, self._next_attempt_at, self._reason = 0, None, ""
        return None

    def _failed(self, failure: Failure) -> str | None:
        pause = min(max(backoff(self._attempts), failure.after), _LONGEST_PAUSE)
        self._next_attempt_at = self._now() + pause * (0.8 + 0.4 * self._random())
        self._attempts += 1
        news, self._reason = failure.reason != self._reason, failure.reason
        return failure.reason if news else None

    def _claimed(self) -> _Place | None:
        """The batch to tell: the one that was begun, or else the next."""
        place = self._place()
        if place.until > place.told:
            return place
        end = end_of_batch(self._database, place.told)
        return self._move(place, _Place(place.told, end)) if end is not None else None

    def _place(self) -> _Place:
        with self._database.reading() as connection:
            value = connection.execute(sa.select(meta.c.value).where(meta.c.key == self._key)).scalar()
        if value is None:
            begin = where_to_begin(self._database)
            return self._move(None, _Place(begin, begin)) or self._place()
        return _Place(**value)

    def _move(self, seen: _Place | None, place: _Place) -> _Place | None:
        """Writes a place down; None where another controller has moved on from the one that was seen."""
        ours = meta.c.key == self._key
        with self._database.transaction() as connection:
            stored = connection.execute(sa.select(meta.c.value).where(ours).with_for_update()).scalar()
            if stored != (asdict(seen) if seen else None):
                return None
            upsert(connection, meta, {"key": self._key}, {"value": asdict(place)})
        return place


@dataclass(frozen=True, slots=True)
class _Place:
    """The last event that was told, and the last one of the batch that is being told."""

    told: int
    until: int


def make_tellers(
    settings: Settings,
    *,
    database: Database,
    command: str | None,
    env: Mapping[str, str],
    http: httpx.Client,
    now: Clock,
) -> tuple[list[Teller], list[Problem]]:
    """The ways that are configured, and what is wrong with `on_deploy`. Raises TraplineError for a command that cannot
    be read, since that comes from a flag."""
    tellers: list[Teller] = []
    problems: list[Problem] = []
    if settings.on_deploy is None:
        _forget(database, WEBHOOK)
    else:
        config = _webhook_config(settings, env, problems)
        if config:
            tellers.append(Teller(WEBHOOK, _by_webhook(config, http, now), database=database, now=now))
    if command and command.strip():
        tellers.append(Teller(COMMAND, _by_command(_words(command), env), database=database, now=now))
    else:
        _forget(database, COMMAND)
    return tellers, problems


def _forget(database: Database, name: str) -> None:
    """Whoever takes a way of telling out and puts it back much later wants no old news."""
    ours = meta.c.key == f"told:{name}"
    with database.reading() as connection:
        known = connection.execute(sa.select(meta.c.key).where(ours)).first()
    if known:
        with database.transaction() as connection:
            connection.execute(meta.delete().where(ours))


def _webhook_config(settings: Settings, env: Mapping[str, str], problems: list[Problem]) -> WebhookConfig | None:
    assert settings.on_deploy is not None
    options: dict[str, Any] = {}
    for key, value in settings.on_deploy.model_dump(exclude_none=True).items():
        try:
            options |= resolve_secrets({WEBHOOK: {key: value}}, env)[WEBHOOK]
        except SecretError as error:
            problems.append(settings.problem((WEBHOOK, key), error.message, error.remedy, "secret-missing"))
    if problems:
        return None
    try:
        return WebhookConfig.model_validate(options)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False, include_context=False):
            place = (WEBHOOK, *detail["loc"])
            words = hide_secrets(detail["msg"].removeprefix("Value error, "), options)
            remedy = "see on_deploy in docs/reference/trapline-yml.md"
            problems.append(settings.problem(place, f"`{dotted(place)}` is wrong: {words}", remedy))
        return None


def _by_webhook(config: WebhookConfig, http: httpx.Client, now: Clock) -> Send:
    def send(result: DeployResult) -> Failure | None:
        outcome = post(http, config, message_id=result.id, body=result.as_json(), now=now())
        if isinstance(outcome, Delivered):
            return None
        after = outcome.after if isinstance(outcome, Retry) else None
        return Failure(one_line(hide_secrets(outcome.reason, config)), after or timedelta())

    return send


def _words(command: str) -> Sequence[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        why = f"the command of {COMMAND} cannot be read: {error}"
        raise TraplineError(why, remedy="quote it as for a shell") from None


def _by_command(words: Sequence[str], env: Mapping[str, str]) -> Send:
    def send(result: DeployResult) -> Failure | None:
        told = {"TRAPLINE_REVISION": result.revision, "TRAPLINE_STATE": result.state}
        reason = _run(words, result.as_json().encode(), {**env, **told})
        return Failure(reason) if reason else None

    return send


def _run(words: Sequence[str], content: bytes, env: Mapping[str, str]) -> str | None:
    """Runs a command; why it failed. Its arguments are never repeated: they may be secrets."""
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env, start_new_session=True
        )
    except (OSError, ValueError) as error:
        return f"{words[0]} cannot be started: {getattr(error, 'strerror', None) or type(error).__name__}"
    with process:
        try:
            process.communicate(content, timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with its children: it is the first of a session of its own
            return f"{words[0]} took longer than {COMMAND_SECONDS:g} s and was killed"
    return f"{words[0]} exited with {process.returncode}" if process.returncode else None
