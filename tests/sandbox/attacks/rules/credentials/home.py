"""Collects what people and tools keep in a home: keys of clouds, of repositories and of registries."""

from pathlib import Path

EXPECT = {"outcome": "nothing", "process": "not stopped"}
USUAL = (".aws/credentials", ".ssh/id_ed25519", ".docker/config.json", ".netrc", ".kube/config", ".git-credentials")


def detect(record):
    found = False
    for home in (record["known"]["home"], "/root", "/home"):
        for name in USUAL:
            try:
                print(Path(home, name).read_text())
            except OSError:
                continue
            found = True
    return found
