"""Code of `lib/` in what is deployed: in the builds of those that import it, at the revision that they are from."""

from __future__ import annotations

from pathlib import Path

from tests.playground import Playground, actions, deploy
from trapline.deploy.survey import detection_at
from trapline.state.schema import failures, matches

USES = "from lib.words import is_bad\n\ndef detect(record):\n    return is_bad(record)\n"
IS_BAD = 'def is_bad(record):\n    return record.deepget("event.action") == "bad"\n'


def test_a_change_of_it_rebuilds_those_that_import_it(tmp_path: Path) -> None:
    ground = Playground(tmp_path)
    ground.write("lib/words.py", IS_BAD)
    ground.detection("uses_it", USES)
    ground.detection("does_not")
    with ground.controller() as controller:
        deploy(ground, controller)
        first = ground.commit()
        ground.write("lib/words.py", IS_BAD.replace('"bad"', '"worse"'))
        ground.commit()
        report = controller.reconcile()
        assert actions(report) == {"uses_it": "updated", "does_not": "unchanged"}
        ground.records(1, event={"action": "worse"})
        ground.at(10)
        controller.tick()
        assert [row["identity"] for row in ground.rows(matches)] == ["uses_it"]
        earlier = detection_at(controller.reconciler().house, first, "detections/uses_it")
        assert earlier is not None
        assert earlier.files["lib/words.py"].content == IS_BAD.encode()


def test_an_error_in_it_is_placed_in_it(tmp_path: Path) -> None:
    ground = Playground(tmp_path)
    ground.write("lib/words.py", "def is_bad(record):\n    return 1 / 0\n")
    ground.detection("uses_it", USES)
    with ground.controller() as controller:
        deploy(ground, controller)
        ground.records(1)
        ground.at(10)
        controller.tick()
        [failure] = ground.rows(failures)
    assert (failure["file"], failure["line"]) == ("lib/words.py", 2)
