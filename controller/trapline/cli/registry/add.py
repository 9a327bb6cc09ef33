"""`trapline registry add`: detections of others, from the repository that they are in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from trapline.author.registry.add import Added, Wish, as_indexed, is_name
from trapline.author.registry.add import add as add_pack
from trapline.cli.options import repository_url
from trapline.cli.output import counted, errors, progress, say, short
from trapline.cli.registry.common import NEXT, desk_here, path_option
from trapline.cli.registry.looking import look
from trapline.packs.contents import PackContents
from trapline.settings.packs import BUILTIN
from trapline.source.remote import redact
from trapline_plugins.text import one_line

_KEYS = click.Path(path_type=Path, dir_okay=False, exists=True)
_SHOWN = 5


@click.command()
@click.argument("source")
@click.option("--name", default="", help="What the pack is called here; as its repository, if not given.")
@click.option("--revision", metavar="COMMIT", default="", help="The commit to pin it to; the newest, if not given.")
@click.option("--ref", default="", help="The branch or tag that has it; the default branch, if not given.")
@click.option("--root", metavar="FOLDER", default="", help="The folder of its repository that has detections/.")
@click.option("--token", default="", help="Where to have a token for https: a reference such as '${env:NAME}'.")
@click.option("--verify-ssh", type=_KEYS, help="Use only commits signed by one of these allowed signers.")
@click.option("--verify-gpg", type=_KEYS, help="Use only commits signed by one of these exported OpenPGP keys.")
@click.option("--enable", multiple=True, metavar="WHICH", help="What runs: a name, 'tag:iam' or all. Repeatable.")
@path_option
def add(
    source: str,
    name: str,
    revision: str,
    ref: str,
    root: str,
    token: str,
    verify_ssh: Path | None,
    verify_gpg: Path | None,
    enable: Sequence[str],
    path: Path,
) -> None:
    """Add the pack at SOURCE to trapline.yml: the URL of a git repository, or a pack's name as an index has it.

    It is fetched, verified and read first, and pinned to one commit: what its authors change later runs here once you
    say so with `trapline registry update`. Without --enable none of its detections runs yet.
    """
    wish = Wish(source, name, revision, ref, root, token, verify_ssh, verify_gpg, tuple(enable))
    desk = desk_here(path)
    if is_name(source) and not Path(source).exists():
        looked = look(path, offline=False)
        looked.tell()
        wish = as_indexed(wish, looked.indexes)
    elif source != BUILTIN:
        wish = replace(wish, source=repository_url(source))
    with progress("fetching"):
        added = add_pack(desk, wish)
    is_new = not desk.file.exists()
    added.desk.save()
    if is_new:
        say(f"made {desk.file}")
    _print(added)


def _print(added: Added) -> None:
    contents, pack = added.contents, added.pack
    say(f"added {added.name}", style="bold", end="")
    say(f", pinned to {short(pack.revision)} of {redact(pack.source)}{_signed(added)}")
    if added.manifest:
        say(f"  {one_line(added.manifest.title)}; its licence is {added.manifest.license}")
    else:
        say("  it has no pack.yml that says its licence: see whether you may use it", to=errors, style="yellow")
    say(f"  {counted(len(contents.detections), 'detection')}, {len(contents.used)} of them run here{_broken(contents)}")
    if tables := added.unknown_tables:
        names = ", ".join(tables[:_SHOWN]) + (" and others" if len(tables) > _SHOWN else "")
        say(f"  it reads tables that trapline.yml does not name: {names}", to=errors, style="yellow")
        say(f"  add them under `tables`, or say under `packs.{added.name}.tables` what they are called here", to=errors)
    if contents.used:
        say(NEXT)
    else:
        say(f"turn some on: `trapline registry enable {added.name}/{contents.detections[0].name.partition('/')[2]}`")


def _signed(added: Added) -> str:
    return ", whose signature is good" if added.pack.verify else ""


def _broken(contents: PackContents) -> str:
    return f", and {len(contents.broken)} more that cannot be used" if contents.broken else ""
