"""Delivers Trapline's alerts to a channel or chat of Microsoft Teams, through a workflow with a webhook."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
from pydantic import AfterValidator, Field, SecretStr
from trapline_plugins.api import Delivered, Destination, DestinationConfig, Notification, Outcome, Rejected, hookimpl
from trapline_plugins.http import outcome_of_error, outcome_of_status, web_address

from trapline_teams.card import message


def _web_address(value: SecretStr) -> SecretStr:
    web_address(value.get_secret_value())
    return value


class TeamsConfig(DestinationConfig):
    """The settings of a `teams` destination."""

    url: Annotated[SecretStr, AfterValidator(_web_address)] = Field(
        description="The workflow's address. Whoever knows it can post: it is a secret, and shown nowhere."
    )


class Teams(Destination[TeamsConfig]):
    """A card for each notification.

    A workflow can neither be asked what it posted nor told to drop a repeat, so there is no `find`: a card whose answer
    was lost is sent again, and may be there twice. It cannot be tried without posting either, so there is no `check`.
    """

    kind = "teams"
    config_model = TeamsConfig

    def render(self, notification: Notification) -> dict[str, Any]:
        return message(notification)

    def send(self, notification: Notification, rendered: dict[str, Any], ref: str) -> Outcome:
        try:
            response = self.tools.http.post(self.config.url.get_secret_value(), json=rendered)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return outcome_of_error(error)
        outcome = outcome_of_status(response, self.tools.now())
        if isinstance(outcome, Delivered) and response.status_code != httpx.codes.ACCEPTED:
            return Rejected(f"it answered {response.status_code}, and a workflow answers 202: is the address right?")
        return outcome


@hookimpl
def register_destinations() -> list[type[Destination[Any]]]:
    return [Teams]
