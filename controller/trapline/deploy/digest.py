"""What a build is made of, as one number: equal inputs give equal digests, and nothing else does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NewType

from trapline.detection.model import Detection
from trapline.fingerprint import fingerprint
from trapline.workers.interface import BuildDigest

LENGTH = 40  # hex digits, as many as a git revision has

DeployDigest = NewType("DeployDigest", str)


def build_digest(detection: Detection, *, lock: str, platform: str) -> BuildDigest:
    """The digest of what runs: platform (with runtime, base image and Python), locked requirements, every file.

    The config file is left out: it is configuration, and changing it redeploys without a rebuild.
    """
    parts = [b"build-1", platform.encode(), lock.encode()]
    for path, file in sorted(detection.files.items()):
        if path != detection.config_file:
            parts += [path.encode(), b"x" if file.executable else b"-", file.content]
    return BuildDigest(fingerprint(*parts)[:LENGTH])


def deploy_digest(detection: Detection, build: BuildDigest) -> DeployDigest:
    """The digest of a deployment: what runs, and the configuration it runs with."""
    config = json.dumps(detection.config.model_dump(mode="json"), sort_keys=True)
    return DeployDigest(fingerprint(b"deploy-1", build.encode(), detection.mode.encode(), config.encode())[:LENGTH])


def attempt_digest(detection: Detection, *, lock: str | None, platform: str) -> str:
    """What an attempt at deploying is made with: trying the same again before its time is of no use."""
    build = build_digest(detection, lock="not locked" if lock is None else lock, platform=platform)
    return deploy_digest(detection, build)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a detection by its digests. They are known once its requirements are locked."""

    build: BuildDigest
    deploy: DeployDigest


def version(detection: Detection, *, lock: str, platform: str) -> Version:
    """The version that a detection is with these locked requirements on this platform."""
    build = build_digest(detection, lock=lock, platform=platform)
    return Version(build, deploy_digest(detection, build))
