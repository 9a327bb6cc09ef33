"""A look at a home from outside: what is live there, and whether all of it is whole and was asked for."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import closing
from functools import cache, cached_property
from typing import Any

import docker

from tests.playground import Playground
from trapline.deploy.desired import read_desired
from trapline.deploy.digest import Version, version
from trapline.deploy.ledger import PROMOTIONS
from trapline.deploy.memory import Memory
from trapline.detection.model import Detection
from trapline.source.git import Mirror
from trapline.state.database import Database
from trapline.workers.backends import layout
from trapline.workers.backends.docker import SCOPE, DockerBackend
from trapline.workers.backends.process import ProcessBackend
from trapline.workers.interface import Backend, BuildDigest

_RUNTIME = {entry.path: entry.read() for entry in layout.runtime()}


def _version(row: sqlite3.Row) -> Version:
    return Version(row["build_digest"], row["deploy_digest"])


def _rows(database: sqlite3.Connection, table: str) -> list[sqlite3.Row]:
    """All rows in the order in which they were written; none where a kill came before there was such a table."""
    there = database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [table]).fetchone()
    return database.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall() if there else []


class Witness(ABC):
    """Changes nothing; asks git, the database and the backend's own listing."""

    def __init__(self, ground: Playground) -> None:
        self.ground = ground
        self.enabled = cache(self._enabled)

    def deployed(self) -> Mapping[str, Version]:
        """What is live, without any proof: for a look while something runs."""
        with closing(self._database()) as database:
            return {row["identity"]: _version(row) for row in _rows(database, "deployments")}

    def live(self) -> Mapping[str, Version]:
        """What is live, after proof that each deployment is whole, sealed, and an enabled version of its revision.

        For a look while nothing runs, or nothing is left to do.
        """
        with closing(self._database()) as database:
            assert [*map(tuple, database.execute("PRAGMA integrity_check"))] == [("ok",)]
            live, events = _rows(database, "deployments"), _rows(database, "events")
            seals = {row["digest"]: row["seal"] for row in _rows(database, "builds")}
        promoted = {row["identity"]: _version(row) for row in events if row["kind"] in PROMOTIONS}  # the last ones
        built = self.backend.built() if live else {}
        for row in live:
            name, digest, asked = row["name"], row["build_digest"], self.asked_for(row["revision"])
            assert built[digest] == seals[digest], f"{name} is not as it was sealed"
            assert _version(row) == promoted[row["identity"]], f"{name} was never promoted as it is"
            assert _version(row) == asked[row["identity"]], f"{name} was never in git as it is"
            self.prove_whole(self.enabled(row["revision"])[row["identity"]], digest)
        return {row["identity"]: _version(row) for row in live}

    def _database(self) -> sqlite3.Connection:
        file = self.ground.home / "trapline.db"
        database = sqlite3.connect(file if file.exists() else ":memory:")
        database.row_factory = sqlite3.Row
        return database

    @cached_property
    @abstractmethod
    def backend(self) -> Backend:
        """The ground's own controllers have an equal one."""

    @abstractmethod
    def prove_whole(self, detection: Detection, digest: BuildDigest) -> None:
        """Looks inside a build."""

    def asked_for(self, revision: str) -> Mapping[str, Version]:
        """What a revision asks for, by its digests."""
        platform = self.backend.platform()
        return {name: version(one, lock="", platform=platform) for name, one in self.enabled(revision).items()}

    def _enabled(self, revision: str) -> Mapping[str, Detection]:
        """The enabled detections of a revision that can be deployed, as the home's own mirror has them."""
        files = Mirror(str(self.ground.repository), self.ground.home / "mirror.git").read(revision).files
        found = read_desired(revision, files, fallback=None, env={}).detections
        return {detection.identity: detection for detection in found if detection.config.enabled}


class ProcessWitness(Witness):
    @cached_property
    def backend(self) -> ProcessBackend:
        return ProcessBackend(self.ground.home / "builds")

    def prove_whole(self, detection: Detection, digest: BuildDigest) -> None:
        """Every file is there with the content that git and the runtime have."""
        files = {f"detection/{path}": file.content for path, file in detection.files.items()}
        del files[f"detection/{detection.config_file}"]
        for path, content in (_RUNTIME | files).items():
            file = self.ground.home / "builds" / digest / path
            assert file.read_bytes() == content, f"{detection.name} is half-made"


class DockerWitness(Witness):
    """Sees of the engine what the ground's own controllers do."""

    def __init__(self, ground: Playground, base_image: str) -> None:
        super().__init__(ground)
        with closing(Database.in_home(ground.home)) as database:
            self._scope = Memory(database).scope()
        self._base_image = base_image
        self._ours = f"{SCOPE}={self._scope}"
        self._api = docker.from_env().api
        # On top of the base: the runtime, the requirements, the detection.
        self._copied = len(self._api.inspect_image(base_image)["RootFS"]["Layers"]) + 3

    @cached_property
    def backend(self) -> DockerBackend:
        return DockerBackend(self._base_image, scope=self._scope)

    def prove_whole(self, detection: Detection, digest: BuildDigest) -> None:
        """Every copied layer is there."""
        image = self._api.inspect_image(self.backend.built()[digest])  # the seal is the image's id
        assert len(image["RootFS"]["Layers"]) == self._copied, f"{detection.name} is half-made"

    def containers(self, *states: str) -> list[dict[str, Any]]:
        filters = {"label": self._ours} | ({"status": list(states)} if states else {})
        return list(self._api.containers(all=True, filters=filters))

    def untagged(self) -> list[dict[str, Any]]:
        return list(self._api.images(filters={"label": self._ours, "dangling": True}))

    def close(self) -> None:
        """Leaves nothing of the home on the engine."""
        for container in self.containers():
            self._api.remove_container(container["Id"], v=True, force=True)
        self.backend.remove(self.backend.built())
        self._api.close()
