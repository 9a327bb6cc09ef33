"""The objects in the double's S3: listed by prefix, read into files of this machine once each, and written."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from urllib.parse import urlsplit

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import S3Backend, s3_backends


class Objects:
    """`folder` keeps a file for each version of an object that was read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def below(self, location: str) -> list[str]:
        """The addresses of the objects below a location, but for those that Hive takes for hidden."""
        bucket, prefix = split(location)
        prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        s3 = _s3()
        if bucket not in s3.buckets:
            return []
        found = sorted(key for key in s3.buckets[bucket].keys if key.startswith(prefix))
        return [
            f"s3://{bucket}/{key}"
            for key in found
            if not key.endswith("/") and not any(part.startswith(("_", ".")) for part in key[len(prefix) :].split("/"))
        ]

    def file(self, address: str) -> Path:
        """A local file with the object's content."""
        bucket, key = split(address)
        found = _s3().get_object(bucket, key)
        if found is None:
            raise FileNotFoundError(address)
        name = hashlib.sha256(f"{address} {found.etag}".encode()).hexdigest()[:32]
        path = self._folder / f"{name}-{key.rpartition('/')[2]}"
        with self._lock:
            if not path.exists():
                unfinished = path.with_suffix(".unfinished")
                unfinished.write_bytes(found.value)
                unfinished.rename(path)
        return path

    def exists(self, bucket: str) -> bool:
        """Whether there is such a bucket."""
        return bucket in _s3().buckets

    def write(self, address: str, content: bytes, *, kms_key: str | None = None) -> None:
        """Puts an object, encrypted with a key of KMS where one is named."""
        bucket, key = split(address)
        _s3().put_object(bucket, key, content, encryption="aws:kms" if kms_key else None, kms_key_id=kms_key)


def split(location: str) -> tuple[str, str]:
    """The bucket and the key of `s3://bucket/key`."""
    parts = urlsplit(location.replace("#", "%23").replace("?", "%3F"))
    return parts.netloc, parts.path.lstrip("/").replace("%23", "#").replace("%3F", "?")


def _s3() -> S3Backend:
    backend: S3Backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    return backend
