"""`trapline comment`: a report of `trapline diff` on the pull request that it is about."""

from __future__ import annotations

import os
from typing import IO

import click
import httpx

from trapline.author.change.comment import post, thread_of
from trapline.cli.output import say

_SECONDS = 30.0


@click.command()
@click.argument("report", type=click.File(encoding="utf-8", errors="replace"))
def comment(report: IO[str]) -> None:
    """Put REPORT, the Markdown of `trapline diff`, on the pull request that a job of a CI runs for; `-` is its input.

    There is one comment for it, which every later report replaces. In GitHub's workflows it takes GITHUB_TOKEN, in
    GitLab's jobs GITLAB_TOKEN, and what else these set by themselves.
    """
    thread = thread_of(os.environ)
    with httpx.Client(timeout=_SECONDS) as http:
        say(f"the comment is {post(report.read(), thread, http)}")
