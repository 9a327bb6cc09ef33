"""Places in S3."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """`s3://bucket/key`."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> Location:
        """Hive writes `s3a://` and `s3n://` too."""
        bucket, _, key = uri.partition("://")[2].partition("/")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def __truediv__(self, name: str) -> Location:
        """A place below; of a folder if the name ends with a slash."""
        return Location(self.bucket, f"{self.key}{name}")
