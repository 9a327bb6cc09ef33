"""Delivery by what trapline.yml says now: follows its changes and its secrets', and loses nothing under way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from trapline.delivery.destinations import ConfiguredDestinations
from trapline.delivery.plugins import Plugins
from trapline.delivery.report import DeliveryReport
from trapline.delivery.router import Router
from trapline.errors import Problem
from trapline.settings import Settings
from trapline.state.database import Database
from trapline_plugins.api import Tools

REFRESH = timedelta(seconds=1)
"""Between two turns, after so long the secrets are read again."""


class Dispatch:
    """The router of one controller. `on_news` is called, by any thread, when a turn would find something to do."""

    def __init__(
        self,
        database: Database,
        plugins: Plugins,
        *,
        env: Mapping[str, str],
        tools: Tools,
        now: Callable[[], datetime],
        on_news: Callable[[], None],
    ) -> None:
        self._plugins = plugins
        self._env = env
        self._tools = tools
        self._now = now
        self._router = Router(database, {}, now=now, on_news=on_news)
        self._configured: tuple[Settings, ConfiguredDestinations] | None = None
        self._refreshed_at: datetime | None = None
        self._problems: Sequence[Problem] = ()

    def deliver(self, settings: Settings) -> tuple[DeliveryReport, list[Problem]]:
        """One pass over what is due; the problems are those of destinations that cannot be used now."""
        self._refresh(self._follow(settings))
        return self._router.deliver(), list(self._problems)

    def turn(self, settings: Settings) -> tuple[DeliveryReport, list[Problem]]:
        """The same, without waiting for anything: it starts what is due, and settles what has come to an end."""
        configured, now = self._follow(settings), self._now()
        if self._refreshed_at is None or not timedelta() <= now - self._refreshed_at < REFRESH:
            self._refresh(configured)
        return self._router.turn(), list(self._problems)

    def pause(self, longest: timedelta) -> timedelta:
        """How long no turn is needed, at most so long, unless there is news."""
        return self._router.pause(longest)

    def finish(self, seconds: float) -> None:
        """Waits at most so long for what is under way, and settles it."""
        self._router.finish(seconds)

    def _follow(self, settings: Settings) -> ConfiguredDestinations:
        if self._configured is None or self._configured[0] is not settings:
            configured = ConfiguredDestinations(settings, self._plugins, env=self._env, tools=self._tools)
            rates = {name: one.rate for name, one in settings.destinations.items() if one.rate}
            self._router.use(configured.usable, operations=settings.operations, rates=rates)
            self._configured, self._refreshed_at = (settings, configured), None
        return self._configured[1]

    def _refresh(self, configured: ConfiguredDestinations) -> None:
        self._problems, self._refreshed_at = configured.refresh(), self._now()
