"""A small pack in a temporary folder, fit to be shared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MANIFEST: dict[str, Any] = {
    "name": "mine",
    "title": "Mine",
    "description": "What I look for.",
    "license": "MIT",
    "tables": {"logs": "What happens here."},
}
CONFIG: dict[str, Any] = {
    "name": "bad_action",
    "display_name": "A bad action",
    "description": "Somebody did something bad.",
    "runbook": "1. Ask who it was.",
    "references": ["https://example.org/bad"],
    "false_positives": ["Good people."],
    "reports": {"attack": ["ta0001:t1078.004"]},
    "alert": {"severity": "high"},
    "tables": ["logs"],
    "tags": ["identity"],
    "tests": [
        {"name": "bad", "match": True, "records": [{"action": "bad"}]},
        {"name": "good", "match": False, "records": [{"action": "good"}]},
    ],
}
SCRIPT = 'def detect(record):\n    return record.get("action") == "bad"\n'


class Pack:
    """Files are written as they are given."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.manifest()
        self.write("LICENSE", "Do as you please.\n")
        self.detection()

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def manifest(self, **changes: Any) -> None:
        self.write("pack.yml", yaml.safe_dump({**MANIFEST, **changes}, sort_keys=False))

    def detection(self, script: str = SCRIPT, **changes: Any) -> None:
        """One detection; a key that is None is left out."""
        config = {key: value for key, value in {**CONFIG, **changes}.items() if value is not None}
        self.write(f"detections/{config['name']}/detection.yml", yaml.safe_dump(config, sort_keys=False))
        self.write(f"detections/{config['name']}/detect.py", script)
