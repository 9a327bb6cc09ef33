"""`trapline controller`: the long-running process, or one round of it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from trapline.cli.diagnostics import WITH_TIMES
from trapline.cli.diagnostics import set_up as set_up_diagnostics
from trapline.cli.options import controller_options, make_folder
from trapline.cli.output import (
    as_json,
    counted,
    errors,
    print_json,
    print_outcomes,
    print_problems,
    progress,
    say,
    short,
)
from trapline.controller import Controller
from trapline.deploy.reconcile import How
from trapline.errors import has_errors
from trapline.options import Options


@click.command()
@controller_options
@click.option("--once", is_flag=True, help="One reconcile, one tick, deliver, exit.")
@click.option("--confirm-prune", is_flag=True, help="With --once: retire what left the repository, even above the cap.")
@click.option(
    "--listen", envvar="TRAPLINE_LISTEN", default="", help="HOST:PORT for /hooks/*, /api/*, /healthz and /readyz."
)
@click.option(
    "--hook-secret-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    envvar="TRAPLINE_HOOK_SECRET_FILE",
    help="A file with the secret that webhooks show; or set TRAPLINE_HOOK_SECRET.",
)
@click.option(
    "--api-token-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    envvar="TRAPLINE_API_TOKEN_FILE",
    help="A file with the token that users of /api/* show; or set TRAPLINE_API_TOKEN.",
)
@click.option("--on-deploy", envvar="TRAPLINE_ON_DEPLOY", help="A command that gets every deploy result on its stdin.")
@as_json
def controller(
    options: Options,
    once: bool,
    confirm_prune: bool,
    listen: str,
    hook_secret_file: Path | None,
    api_token_file: Path | None,
    on_deploy: str | None,
    as_json: bool,
) -> None:
    """Follow a repository of detections: deploy what is merged, run it on schedule, deliver its alerts.

    Ends cleanly on SIGTERM and ^C. Of several on one home one leads, and the others take over when it ends. With --once
    the exit code is 1 where anything needs a person.
    """
    make_folder(options.home)
    if once:
        if listen or on_deploy:
            raise click.UsageError("--listen and --on-deploy do not go with --once")
        sys.exit(_once(options, confirm_prune=confirm_prune, as_json=as_json))
    if as_json or confirm_prune:
        raise click.UsageError("--json and --confirm-prune go with --once")
    if (hook_secret_file or api_token_file) and not listen:
        raise click.UsageError("--hook-secret-file and --api-token-file go with --listen")
    hook_secret = _secret(hook_secret_file, "TRAPLINE_HOOK_SECRET")
    api_token = _secret(api_token_file, "TRAPLINE_API_TOKEN")
    _loop(options, listen, hook_secret, api_token, on_deploy)


def _secret(file: Path | None, variable: str) -> bytes:
    return file.read_bytes().strip() if file else os.environ.get(variable, "").encode()


def _loop(options: Options, listen: str, hook_secret: bytes, api_token: bytes, on_deploy: str | None) -> None:
    from trapline.service import Service, Serving  # with an HTTP server, which `--once` does not need

    set_up_diagnostics(WITH_TIMES)
    logging.getLogger("trapline").setLevel(logging.INFO)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    controller = Controller(options, remember=True, write=click.echo)
    controller.reconciler()  # what cannot be run at all is said before anything starts
    Service(controller, Serving(listen, hook_secret, api_token, on_deploy)).run(stop)


def _once(options: Options, *, confirm_prune: bool, as_json: bool) -> int:
    with (
        progress("reconciling") as show,
        Controller(options, remember=True, write=_writer(as_json), on_progress=show) as running,
    ):
        report = running.reconcile(How(confirm_prune=confirm_prune))
        tick = running.tick()
        delivery, destination_problems = running.deliver()
    problems = [*report.problems, *destination_problems]
    failing = [outcome for outcome in report.outcomes if outcome.action in ("stalled", "waiting")]
    summary: dict[str, Any] = {
        "revision": report.revision,
        "sandbox": running.sandbox,
        "detections": [asdict(outcome) for outcome in report.outcomes],
        "problems": [asdict(problem) for problem in problems],
        "scans": len(tick.scans),
        "records": sum(scan.records for scan in tick.scans),
        "bytes_scanned": sum(scan.bytes_scanned for scan in tick.scans),
        "matches": tick.matches,
        "alerts_opened": tick.opened,
        "alerts_updated": tick.updated,
        "errors": {running.name_of(identity): message for identity, message in tick.errors.items()},
        "failures": {running.name_of(identity): message for identity, message in tick.failures.items()},
        "delivered": delivery.delivered,
        "undelivered": delivery.retrying + delivery.dead,
        "delivery_problems": dict(delivery.reasons),
    }
    if as_json:
        print_json(summary)
    else:
        print_problems(problems)
        _print(summary)
    wrong = (
        failing or has_errors(problems) or tick.errors or tick.failures or summary["undelivered"] or delivery.reasons
    )
    return 1 if wrong else 0


def _writer(as_json: bool) -> Callable[[str], None]:
    """Where console destinations write: not between the lines of a JSON document."""
    return (lambda text: click.echo(text, err=True)) if as_json else click.echo


def _print(summary: Mapping[str, Any]) -> None:
    say(f"{short(summary['revision'])}  {summary['sandbox']}")
    print_outcomes(summary["detections"])
    say(
        f"{counted(summary['scans'], 'scan')}, {counted(summary['records'], 'record')}, "
        f"{counted(summary['matches'], 'match')}, {counted(summary['alerts_opened'], 'alert')} opened, "
        f"{summary['alerts_updated']} updated, "
        f"{summary['delivered']} delivered",
    )
    for identity, message in {**summary["failures"], **summary["errors"], **summary["delivery_problems"]}.items():
        say(f"  {identity}: {message}", to=errors)
