"""The mirror, against real repositories."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from trapline.source import git as module
from trapline.source import objects
from trapline.source.command import Done, run_git
from trapline.source.git import Mirror
from trapline.source.tree import MAX_FILE_BYTES, SourceError

if TYPE_CHECKING:
    from .conftest import Origin


@pytest.fixture
def mirror(origin: Origin, tmp_path: Path) -> Mirror:
    return Mirror(origin.url, tmp_path / "mirrors" / "one.git")


def test_a_revision_is_read_with_its_exec_bits(origin: Origin, mirror: Mirror) -> None:
    (origin.path / "run.sh").write_bytes(b"#!\0\xff")
    (origin.path / "run.sh").chmod(0o755)
    first = origin.commit(detections__a__detect_py="one")
    assert mirror.fetch() == first
    tree = mirror.read(first)
    assert tree.revision == first
    assert {path: (file.content, file.executable) for path, file in tree.files.items()} == {
        "detections/a/detect_py": (b"one", False),
        "run.sh": (b"#!\0\xff", True),
    }


def test_root_narrows(origin: Origin, mirror: Mirror) -> None:
    origin.commit(detections__a="1", docs__b="2", detectionsx__c="3")
    commit = mirror.fetch()
    assert set(mirror.read(commit, root="detections").files) == {"detections/a"}
    assert set(mirror.read(commit, root="detections/").files) == {"detections/a"}
    with pytest.raises(SourceError, match=r"no folder nothing .*use one of: detections, detectionsx, docs") as caught:
        mirror.read(commit, root="nothing")
    assert caught.value.code == "no-such-root"
    assert len(mirror.read(commit, root=".").files) == 3


def test_later_commits_and_force_pushes_are_followed_and_old_ones_stay_readable(origin: Origin, mirror: Mirror) -> None:
    first = origin.commit(a="1")
    assert mirror.fetch() == first
    second = origin.commit(a="2")
    assert mirror.fetch() == second
    origin.git("reset", "-q", "--hard", first)
    third = origin.commit(a="3")
    assert mirror.fetch() == third
    assert mirror.read(second).files["a"].content == b"2"
    assert mirror.resolve("main") == third == mirror.resolve("HEAD") == mirror.resolve(third[:12])
    assert mirror.resolve("HEAD~1") == first == mirror.resolve("main~1")


def test_a_force_push_can_be_told_from_a_push(origin: Origin, mirror: Mirror, tmp_path: Path) -> None:
    first = origin.commit(a="1")
    mirror.fetch()
    second = origin.commit(a="2")
    mirror.fetch()
    assert mirror.follows(second, first)
    assert mirror.follows("main", second)
    origin.git("reset", "-q", "--hard", first)
    third = origin.commit(a="3")
    assert mirror.fetch() == third
    assert not mirror.follows(third, second)
    assert mirror.follows(third, first)
    fresh = Mirror(origin.url, tmp_path / "fresh")
    fresh.fetch()
    assert not fresh.follows(third, second)  # known no more
    with pytest.raises(SourceError, match="has no commit"):
        fresh.follows(second, first)


def test_what_a_force_push_dropped_is_never_collected(origin: Origin, mirror: Mirror, tmp_path: Path) -> None:
    commit = origin.commit(a="dropped")
    mirror.fetch()
    origin.git("checkout", "-q", "--orphan", "fresh")
    origin.commit(a="kept")
    origin.git("branch", "-M", "main")
    mirror.fetch()
    path = tmp_path / "mirrors" / "one.git"
    long_ago = time.time() - 365 * 24 * 3600
    for file in path.glob("objects/*/*"):
        os.utime(file, (long_ago, long_ago))
    assert run_git([f"--git-dir={path}", "gc", "--quiet"], cwd=path, timeout=60).status == 0
    assert mirror.read(commit).files["a"].content == b"dropped"


def test_what_the_mirror_has_now_takes_no_network(origin: Origin, mirror: Mirror, tmp_path: Path) -> None:
    assert mirror.current() is None
    commit = origin.commit(a="1")
    mirror.fetch()
    origin.path.rename(origin.path.with_name("moved"))
    assert mirror.current() == commit
    _damage(tmp_path / "mirrors" / "one.git")
    assert mirror.current() is None


def test_a_branch_that_was_deleted_keeps_what_was_fetched(origin: Origin, mirror: Mirror) -> None:
    commit = origin.commit(a="1")
    mirror.fetch()
    origin.git("branch", "-m", "main", "trunk")
    with pytest.raises(SourceError, match=r"has no branch or tag main .use one of: trunk") as caught:
        mirror.fetch()
    assert caught.value.code == "no-such-ref"
    assert mirror.current() == commit
    assert mirror.read(commit).files["a"].content == b"1"


def test_a_repository_that_was_emptied_keeps_what_was_fetched(origin: Origin, mirror: Mirror) -> None:
    commit = origin.commit(a="1")
    mirror.fetch()
    shutil.rmtree(origin.path / ".git")
    origin.git("init", "-q", "-b", "main")
    with pytest.raises(SourceError, match="push a first commit"):
        mirror.fetch()
    assert mirror.current() == commit
    assert mirror.read(commit).files["a"].content == b"1"


def test_a_tag_that_moved_is_followed(origin: Origin, tmp_path: Path) -> None:
    mirror = Mirror(origin.url, tmp_path / "m", ref="v1")
    for text in ("1", "2"):
        commit = origin.commit(a=text)
        origin.git("tag", "--force", "-a", "v1", "-m", "annotated")
        assert mirror.fetch() == commit


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The git commands that the mirror runs, as they are started."""
    started: list[str] = []

    def run(arguments: Sequence[str], **options: Any) -> Done:
        started.append(next(argument for argument in arguments if not argument.startswith("--git-dir=")))
        return run_git(arguments, **options)

    monkeypatch.setattr(module, "run_git", run)
    return started


@pytest.mark.parametrize("ref", ["main", "v1"])
def test_nothing_new_costs_two_commands(origin: Origin, tmp_path: Path, commands: list[str], ref: str) -> None:
    origin.commit(a="1")
    origin.git("tag", "-a", "v1", "-m", "annotated")
    mirror = Mirror(origin.url, tmp_path / "m", ref=ref)
    tree = mirror.read(mirror.fetch())
    commands.clear()
    assert mirror.read(mirror.fetch()) is tree
    assert sorted(commands) == ["cat-file", "ls-remote"]


def test_only_what_is_new_is_read(origin: Origin, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    origin.commit(a="1", b="2", d__c="3")
    first = mirror.read(mirror.fetch())
    read: list[bytes] = []
    original = module.Mirror._git

    def spy(self: Mirror, *arguments: str, feed: bytes = b"", most: int | None = None) -> Done:
        read.append(feed)
        return original(self, *arguments, feed=feed, most=most)

    monkeypatch.setattr(module.Mirror, "_git", spy)
    origin.git("mv", "b", "moved")
    origin.commit(a="changed")
    second = mirror.read(mirror.fetch())
    changed = origin.git("rev-parse", "HEAD:a").encode() + b"\n"
    assert [feed for feed in read if feed] == [changed, changed]  # its size, then its content
    assert {path: file.content for path, file in second.files.items()} == {
        "a": b"changed",
        "moved": b"2",
        "d/c": b"3",
    }
    assert first.files["a"].content == b"1"
    assert set(mirror.read(first.revision, root="d").files) == {"d/c"}
    assert mirror.read(second.revision) is second  # a look into a folder of another one does not push it out


def test_a_changed_exec_bit_is_seen_though_the_content_is_known(origin: Origin, mirror: Mirror) -> None:
    origin.commit(a="1", b="1")
    assert not mirror.read(mirror.fetch()).files["a"].executable
    (origin.path / "a").chmod(0o755)
    origin.commit()
    files = mirror.read(mirror.fetch()).files
    assert (files["a"].executable, files["b"].executable) == (True, False)


def test_only_the_one_ref_is_fetched(origin: Origin, mirror: Mirror, tmp_path: Path) -> None:
    origin.commit(a="1")
    origin.git("checkout", "-q", "-b", "other")
    other = origin.commit(a="2")
    mirror.fetch()
    with pytest.raises(SourceError) as caught:
        mirror.read(other)
    assert caught.value.code == "no-such-ref"
    assert Mirror(origin.url, tmp_path / "two", ref="other").fetch() == other


@pytest.mark.parametrize("ref", ["v1", "refs/tags/v1", "refs/heads/main", "HEAD"])
def test_tags_and_full_refs(origin: Origin, tmp_path: Path, ref: str) -> None:
    commit = origin.commit(a="1")
    origin.git("tag", "-a", "v1", "-m", "annotated")
    mirror = Mirror(origin.url, tmp_path / "m", ref=ref)
    assert mirror.fetch() == commit
    assert mirror.fetch() == commit  # nothing new
    assert mirror.resolve(ref) == commit


def test_links_submodules_large_files_and_bad_names_are_told(origin: Origin, mirror: Mirror) -> None:
    commit = origin.commit(a="1", big="x" * (MAX_FILE_BYTES + 1))
    (origin.path / "link").symlink_to("/etc/passwd")
    (origin.path / "new\nline").write_text("x")
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{commit},sub")
    origin.git("add", "link", "new\nline")
    origin.git("commit", "-q", "-m", "odd things")
    tree = mirror.read(mirror.fetch())
    assert tree.files["a"].content == b"1"
    assert "symbolic link" in tree.files["link"].absent
    assert f"{MAX_FILE_BYTES:,}" in tree.files["big"].absent
    assert set(tree.files) == {"a", "big", "link"}
    assert [line.split(":")[0] for line in tree.skipped] == ["'new\\nline'", "big", "link", "sub"]


def test_more_files_than_the_cap_is_an_error(origin: Origin, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    origin.commit(a="1", b="2", c="3")
    commit = mirror.fetch()
    monkeypatch.setattr(objects, "MAX_FILES", 2)
    with pytest.raises(SourceError, match=r"more than .*--root") as caught:
        mirror.read(commit)
    assert caught.value.code == "too-many-files"


def test_a_listing_without_an_end_is_not_read_to_it(origin: Origin, tmp_path: Path) -> None:
    oid, kind = origin.git("hash-object", "-w", "--stdin", feed="x"), "100644 blob"
    for _ in range(9):  # a billion files
        oid = origin.git("mktree", feed="".join(f"{kind} {oid}\t{name}\n" for name in "0123456789"))
        kind = "040000 tree"
    bomb = origin.git("commit-tree", oid, "-m", "a bomb")
    origin.git("update-ref", "refs/heads/main", bomb)
    mirror = Mirror(origin.url, tmp_path / "m", timeout=10)
    with pytest.raises(SourceError, match=r"more than .*--root") as caught:
        mirror.read(mirror.fetch())
    assert caught.value.code == "too-many-files"


def test_more_content_than_the_cap_is_not_read(
    origin: Origin, mirror: Mirror, commands: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.commit(a="x" * 40, d__same="x" * 40, big="x" * (MAX_FILE_BYTES + 1))
    monkeypatch.setattr(objects, "MAX_TREE_BYTES", 80)
    tree = mirror.read(mirror.fetch())  # what is too large by itself is not read, and does not count
    assert tree.skipped
    origin.commit(b="y")
    commit = mirror.fetch()
    commands.clear()
    with pytest.raises(SourceError, match=r"have 81 bytes together.* are the most .*--root") as caught:
        mirror.read(commit)
    assert caught.value.code == "too-large"
    assert commands == ["rev-parse", "ls-tree", "cat-file"]  # sizes, and no content
    assert mirror.read(commit, root="d").files


def test_an_unreachable_remote_leaves_the_mirror_alone(origin: Origin, mirror: Mirror) -> None:
    commit = origin.commit(a="1")
    mirror.fetch()
    origin.path.rename(origin.path.with_name("moved"))
    with pytest.raises(SourceError) as caught:
        mirror.fetch()
    assert caught.value.code == "not-a-repository"
    assert mirror.read(commit).files["a"].content == b"1"


def test_a_missing_branch_names_those_that_are_there(origin: Origin, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="push a first commit") as caught:
        Mirror(origin.url, tmp_path / "m").fetch()
    assert caught.value.code == "no-such-ref"
    origin.commit(a="1")
    with pytest.raises(SourceError, match="use one of: main") as caught:
        Mirror(origin.url, tmp_path / "m", ref="mian").fetch()
    assert caught.value.code == "no-such-ref"


def test_no_repository(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(SourceError, match=r"does not appear to be a git repository .check the URL") as caught:
        Mirror(str(tmp_path / "plain"), tmp_path / "m").fetch()
    assert caught.value.code == "not-a-repository"
    assert not (tmp_path / "m").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a repository to another user takes root")
def test_a_repository_of_another_user_is_explained(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.commit(a="1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for path in (origin.path, origin.path / ".git"):
        os.chown(path, 65534, 65534)
    with pytest.raises(SourceError, match=r"another user owns it .*safe\.directory"):
        Mirror(f"file://{origin.path}", tmp_path / "m").fetch()


def test_nobody_listens_and_credentials_stay_hidden(tmp_path: Path, closed_port: int) -> None:
    mirror = Mirror(f"http://user:hunter2@127.0.0.1:{closed_port}/x.git", tmp_path / "m")
    with pytest.raises(SourceError, match="cannot reach http://") as caught:
        mirror.fetch()
    assert caught.value.code == "unreachable"
    assert "hunter2" not in str(caught.value)


@pytest.fixture
def closed_port() -> int:
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        return server.server_address[1]


def test_a_remote_that_never_answers_times_out(origin: Origin, tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:  # bound, never served
        mirror = Mirror(f"http://127.0.0.1:{server.server_address[1]}/x.git", tmp_path / "m", timeout=0.3)
        with pytest.raises(SourceError, match=r"did not answer within 0\.3 s") as caught:
            mirror.fetch()
    assert caught.value.code == "unreachable"


@pytest.mark.parametrize(
    "url",
    ["ext::sh -c id", "fd::17", "-u/x", "--upload-pack=id", "", "a\nb", "ftp://example.org/x", "gopher://x", "s3::x/y"],
)
def test_refused_urls(tmp_path: Path, url: str) -> None:
    with pytest.raises(SourceError) as caught:
        Mirror(url, tmp_path / "m")
    assert caught.value.code == "refused-url"
    assert caught.value.remedy


@pytest.mark.parametrize("ref", ["-x", "--all", "", "a b", "a:b", "a..b", "+main", "ma*n", "@{-1}", "x.lock"])
def test_refused_refs(origin: Origin, tmp_path: Path, ref: str) -> None:
    origin.commit(a="1")
    with pytest.raises(SourceError) as caught:
        Mirror(origin.url, tmp_path / "m", ref=ref).fetch()
    assert caught.value.code == "no-such-ref"


def _damage(mirror: Path, keep: int = 0) -> None:
    for pack in [*mirror.glob("objects/pack/*.pack"), *(p for p in mirror.glob("objects/??/*") if p.is_file())]:
        pack.chmod(stat.S_IRUSR | stat.S_IWUSR)
        pack.write_bytes(pack.read_bytes()[:keep])


def test_a_damaged_mirror_is_built_anew(origin: Origin, mirror: Mirror, tmp_path: Path) -> None:
    commit = origin.commit(a="1", b="2")
    mirror.fetch()
    _damage(tmp_path / "mirrors" / "one.git")
    with pytest.raises(SourceError):
        mirror.read(commit)
    assert mirror.fetch() == commit
    assert mirror.read(commit).files["a"].content == b"1"
    assert sorted(path.name for path in (tmp_path / "mirrors").iterdir()) == ["one.git", "one.git.lock"]


def test_a_blob_that_is_gone_is_found_by_reading_and_healed_by_fetching(
    origin: Origin, mirror: Mirror, tmp_path: Path
) -> None:
    commit = origin.commit(a="1")
    mirror.fetch()
    blob = origin.git("rev-parse", "HEAD:a")
    path = tmp_path / "mirrors" / "one.git"
    for pack in path.glob("objects/pack/*.pack"):  # unpack, to lose just the one object
        content = pack.read_bytes()
        shutil.rmtree(path / "objects" / "pack")
        subprocess.run(["git", f"--git-dir={path}", "unpack-objects", "-q"], input=content, check=True)
    (path / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(SourceError, match="damaged") as caught:
        mirror.read(commit)
    assert caught.value.code == "corrupt"
    assert mirror.fetch() == commit
    assert mirror.read(commit).files["a"].content == b"1"


def test_a_damaged_mirror_is_kept_while_the_remote_is_away(origin: Origin, mirror: Mirror, tmp_path: Path) -> None:
    origin.commit(a="1")
    mirror.fetch()
    (tmp_path / "mirrors" / "one.git" / "HEAD").unlink()
    origin.path.rename(origin.path.with_name("moved"))
    with pytest.raises(SourceError):
        mirror.fetch()
    assert (tmp_path / "mirrors" / "one.git" / "objects").is_dir()


@dataclass
class Failing:
    """A git that fails at one of its commands, as long as `command` names it."""

    program: Path
    command: Path

    def at(self, command: str, how: str) -> None:
        self.command.write_text(command)
        self.program.with_name("how").write_text(how)


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Failing:
    folder = tmp_path / "failing"
    folder.mkdir()
    failing = Failing(folder / "git", folder / "command")
    failing.at("nothing", "")
    real = shutil.which("git")
    failing.program.write_text(
        f'#!/bin/sh\ncase "$*" in *" $(cat {failing.command}) "*) . {folder}/how;; esac\nexec {real} "$@"\n'
    )
    failing.program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return failing


KILLED = "kill -9 $$"
NO_MEMORY = "echo 'fatal: Out of memory, malloc failed (tried to allocate 9 bytes)' >&2; exit 128"
NO_INDEX = "echo 'fatal: fetch-pack: invalid index-pack output' >&2; exit 128"


@pytest.mark.parametrize(
    ("command", "how"),
    [
        ("rev-parse", KILLED),
        ("ls-tree", KILLED),
        ("ls-tree", NO_MEMORY),
        ("cat-file --batch=%(objectname)", KILLED),
        ("cat-file --batch-check=%(objectname)", KILLED),
    ],
)
def test_a_git_that_is_killed_while_it_reads_shows_no_damage(
    origin: Origin, mirror: Mirror, failing: Failing, command: str, how: str
) -> None:
    first = origin.commit(a="1")
    mirror.fetch()
    failing.at(command, how)
    with pytest.raises(SourceError, match="could not read the mirror") as caught:
        mirror.read(first)
    assert caught.value.code == "unreachable"
    failing.at("nothing", "")
    assert mirror.read(first).files["a"].content == b"1"
    assert mirror.current() == first


@pytest.mark.parametrize(
    ("command", "how"), [("cat-file", KILLED), ("cat-file", NO_MEMORY), ("fetch", NO_INDEX), ("fetch", KILLED)]
)
def test_nor_does_one_that_is_killed_while_it_fetches(
    origin: Origin, mirror: Mirror, failing: Failing, command: str, how: str
) -> None:
    dropped = origin.commit(a="dropped")
    mirror.fetch()
    origin.git("commit", "-q", "--amend", "-m", "forced")
    mirror.fetch()
    newest = origin.commit(a="newest")
    failing.at(command, how)
    with pytest.raises(SourceError) as caught:
        mirror.fetch()
    assert caught.value.code == "unreachable"
    failing.at("nothing", "")
    assert mirror.fetch() == newest
    assert mirror.read(dropped).files["a"].content == b"dropped"


def test_a_reader_finds_the_mirror_that_was_put_in_the_place_of_its_own(
    origin: Origin, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = origin.commit(a="1")
    mirror.fetch()
    path, aside = tmp_path / "mirrors" / "one.git", tmp_path / "aside"
    for missed in ("rev-parse", "ls-tree", "cat-file"):
        left = [missed]

        def run(arguments: Sequence[str], *, left: list[str] = left, **options: Any) -> Done:
            between = bool(left) and left[0] in arguments and bool(left.pop())
            if between:
                path.rename(aside)
            try:
                return run_git(arguments, **options)
            finally:
                if between:
                    aside.rename(path)

        monkeypatch.setattr(module, "run_git", run)
        assert Mirror(origin.url, path).read(commit).files["a"].content == b"1"
        assert not left
        assert Mirror(origin.url, path).current() == commit


@pytest.mark.parametrize(
    "name",
    [
        "HEAD.lock",
        "config.lock",
        "shallow.lock",
        "packed-refs.lock",
        "refs/heads/main.lock",
        "refs/trapline/tracked.lock",
        "objects/pack/tmp_pack_abc",
        "objects/pack/tmp_idx_abc",
        "objects/pack/.tmp-17-pack-abc.pack",
        "objects/ab/tmp_obj_abc",
        "objects/tmp_objdir-incoming-abc/pack/tmp_pack_abc",
        "objects/info/commit-graphs/commit-graph-chain.lock",
    ],
)
def test_litter_is_swept_once_it_is_old(origin: Origin, mirror: Mirror, tmp_path: Path, name: str) -> None:
    first = origin.commit(a="1")
    mirror.fetch()
    path = tmp_path / "mirrors" / "one.git"
    litter = path / name
    litter.parent.mkdir(parents=True, exist_ok=True)
    litter.touch()
    mirror.fetch()
    assert litter.exists()  # somebody may be at work
    long_ago = time.time() - 3600
    for file in (litter, *litter.parents):
        if file != path and path in file.parents:
            os.utime(file, (long_ago, long_ago))
    commit = origin.commit(a="2")
    assert mirror.fetch() == commit
    assert not litter.exists()
    assert mirror.read(first).files["a"].content == b"1"  # what is no litter stayed


@pytest.mark.parametrize("name", ["refs/trapline/tracked.lock", "packed-refs.lock", "shallow.lock"])
def test_a_lock_that_was_just_left_holds_nothing_up(origin: Origin, mirror: Mirror, tmp_path: Path, name: str) -> None:
    origin.commit(a="1")
    mirror.fetch()
    (tmp_path / "mirrors" / "one.git" / name).touch()
    commit = origin.commit(a="2")
    assert mirror.fetch() == commit
    assert mirror.read(commit).files["a"].content == b"2"


def test_what_killed_fetches_leave_is_swept_once_it_is_old(origin: Origin, mirror: Mirror, tmp_path: Path) -> None:
    origin.commit(a="1")
    mirror.fetch()
    path = tmp_path / "mirrors" / "one.git"
    lock, young = path / "refs/trapline/tracked.lock", path / "objects/pack/tmp_pack_young"
    half = tmp_path / "mirrors" / "one.git.tmp-abc"
    half.mkdir()
    (path / "objects/pack").mkdir(exist_ok=True)
    for file in (lock, young):
        file.touch()
    long_ago = time.time() - 3600
    os.utime(lock, (long_ago, long_ago))
    os.utime(half, (long_ago, long_ago))
    second = origin.commit(a="2")
    assert mirror.fetch() == second
    assert not lock.exists()
    assert not half.exists()
    assert young.exists()


def test_hooks_of_the_mirror_never_run(origin: Origin, mirror: Mirror, tmp_path: Path) -> None:
    origin.commit(a="1")
    mirror.fetch()
    hooks = tmp_path / "mirrors" / "one.git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("reference-transaction", "post-fetch", "post-checkout", "pre-auto-gc"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (hooks / name).chmod(0o755)
    origin.commit(a="2")
    mirror.fetch()
    assert not (tmp_path / "ran").exists()


def test_two_fetches_at_once(origin: Origin, tmp_path: Path) -> None:
    commit = origin.commit(a="1")
    found: list[str] = []
    fetchers = [
        threading.Thread(target=lambda: found.append(Mirror(origin.url, tmp_path / "m").fetch())) for _ in range(4)
    ]
    for fetcher in fetchers:
        fetcher.start()
    for fetcher in fetchers:
        fetcher.join()
    assert found == [commit] * 4


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def served(origin: Origin) -> Iterator[str]:
    """The repository over HTTP, as any static file server offers it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(origin.path))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/.git"
        server.shutdown()
        thread.join()


def test_over_a_socket(origin: Origin, served: str, tmp_path: Path) -> None:
    mirror = Mirror(served, tmp_path / "m")
    for text in ("1", "2"):
        commit = origin.commit(a=text)
        origin.git("update-server-info")
        assert mirror.fetch() == commit
        assert mirror.read(commit).files["a"].content == text.encode()
