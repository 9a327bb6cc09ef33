"""One number for many parts: what identities and digests are made with."""

from __future__ import annotations

import hashlib


def fingerprint(*parts: bytes) -> str:
    """SHA-256 in hex over length-prefixed parts, so that no two different lists run together into the same bytes."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(len(part).to_bytes(8, "big"))
        sha.update(part)
    return sha.hexdigest()
