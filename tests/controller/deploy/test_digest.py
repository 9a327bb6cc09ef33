"""Digests: equal inputs give equal digests, and any change of any input gives another."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trapline.deploy.digest import build_digest, deploy_digest
from trapline.detection.model import Detection, DetectionConfig, File, Mode
from trapline.workers.interface import BuildDigest

paths = st.text("abc/._", min_size=1, max_size=12)
files = st.dictionaries(paths, st.builds(File, content=st.binary(max_size=20), executable=st.booleans()), max_size=4)
inputs = st.fixed_dictionaries({"lock": st.text(max_size=20), "platform": st.text(max_size=20)})


def detection(contents: dict[str, File], **config: Any) -> Detection:
    settings = DetectionConfig.model_validate({"name": "d", "tables": ["t"], **config})
    return Detection(config=settings, mode=Mode.RECORD, path="detections/d", files=contents)


@given(files, inputs, files, inputs)
def test_two_builds_share_a_digest_only_if_all_their_inputs_are_equal(
    one: dict[str, File], first: dict[str, str], other: dict[str, File], second: dict[str, str]
) -> None:
    same = build_digest(detection(one), **first) == build_digest(detection(other), **second)
    assert same == (one == other and first == second)


@given(files, inputs)
def test_the_order_of_files_does_not_matter(contents: dict[str, File], given_inputs: dict[str, str]) -> None:
    turned = dict(reversed(contents.items()))
    assert build_digest(detection(contents), **given_inputs) == build_digest(detection(turned), **given_inputs)


def test_the_config_changes_the_deployment_but_not_the_build() -> None:
    code = File(content=b"def detect(record): return True")
    low = detection({"detect.py": code, "detection.yml": File(content=b"a")}, alert={"severity": "low"})
    high = detection({"detect.py": code, "detection.yml": File(content=b"b")}, alert={"severity": "high"})
    build = build_digest(low, lock="", platform="")
    assert build == build_digest(high, lock="", platform="")
    assert deploy_digest(low, build) != deploy_digest(high, build)
    assert deploy_digest(low, build) != deploy_digest(low, BuildDigest("another"))


def test_the_path_of_a_detection_is_not_part_of_what_it_is() -> None:
    here = detection({"detect.py": File(content=b"")})
    there = here.model_copy(update={"path": "detections/elsewhere"})
    assert build_digest(here, lock="", platform="") == build_digest(there, lock="", platform="")
