"""The objects in the double's S3: listed by prefix, read into files of this machine once each, and written."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import S3Backend, s3_backends


class Objects:
    """`folder` keeps a file for each version of an object that was read.

    moto's S3 was made for one thread: whoever speaks to it, the server too, holds the `lock`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.lock = threading.RLock()

    def below(self, location: str) -> list[str]:
        """The addresses of the objects below a location, but for those that Hive takes for hidden."""
        bucket, prefix = split(location)
        prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        with self.lock:
            if not self.exists(bucket):
                return []
            found = sorted(key for key in _s3().buckets[bucket].keys if key.startswith(prefix))
        return [
            f"s3://{bucket}/{key}"
            for key in found
            if not key.endswith("/") and not any(part.startswith(("_", ".")) for part in key[len(prefix) :].split("/"))
        ]

    def file(self, address: str) -> Path:
        """A local file with the object's content."""
        bucket, key = split(address)
        with self.lock:
            found = _s3().get_object(bucket, key)
            if found is None:
                raise FileNotFoundError(address)
            name = hashlib.sha256(f"{address} {found.etag}".encode()).hexdigest()[:32]
            path = self._folder / f"{name}-{key.rpartition('/')[2]}"
            if not path.exists():
                path.write_bytes(found.value)
        return path

    def exists(self, bucket: str) -> bool:
        """Whether there is such a bucket."""
        with self.lock:
            return bucket in _s3().buckets

    def write(self, address: str, content: bytes, *, kms_key: str | None = None) -> None:
        """Puts an object, encrypted with a key of KMS where one is named."""
        bucket, key = split(address)
        with self.lock:
            _s3().put_object(bucket, key, content, encryption="aws:kms" if kms_key else None, kms_key_id=kms_key)


def split(location: str) -> tuple[str, str]:
    """The bucket and the key of `s3://bucket/key`."""
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return bucket, key


def _s3() -> S3Backend:
    backend: S3Backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    return backend
