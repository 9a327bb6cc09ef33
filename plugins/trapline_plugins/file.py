"""The `file` destination: JSON lines appended to a file, one for each notification."""

from __future__ import annotations

import fcntl
import json
import os
from io import FileIO
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from trapline_plugins.api import Delivered, Destination, DestinationConfig, Notification, Outcome, Retry, Unknown
from trapline_plugins.payload import PAYLOAD_SETTING, Payload, alert_json, delivery_of

MAX_BYTES = 256 * 1024
"""The longest line, without its end."""

LOOK_BACK = 64 * 1024 * 1024
"""A line that may or may not have been written is looked for in so many last bytes of the file."""

_MODE = 0o640  # for a log shipper in the file's group; alerts are nobody else's business


def _absolute(path: Path) -> Path:
    if not path.is_absolute() or "\0" in str(path):
        raise ValueError("this is not an absolute path, such as /var/log/trapline/alerts.jsonl")
    return path


class FileConfig(DestinationConfig):
    """The settings of a `file` destination."""

    path: Annotated[Path, AfterValidator(_absolute)] = Field(
        description="The file, by its absolute path. It is made where it is missing; its folder is not."
    )
    payload: Payload = Field("trapline", description=PAYLOAD_SETTING)


class File(Destination[FileConfig]):
    """Appends each notification as one line. The file is opened anew each time, so that it may be moved away."""

    kind = "file"
    config_model = FileConfig
    at_once = 1  # several would only wait for each other's lock

    def render(self, notification: Notification) -> str:
        return alert_json(notification, MAX_BYTES, self.config.payload)

    def send(self, notification: Notification, rendered: str, ref: str) -> Outcome:
        try:
            with FileIO(self.config.path, "a+", opener=_open) as file:
                # Others may append to it too: another destination, another controller.
                fcntl.flock(file, fcntl.LOCK_EX)
                _append(file, rendered.encode() + b"\n")
        except OSError as error:
            return Retry(f"the file cannot be written: {_say(error)}")
        return Delivered()

    def find(self, notification: Notification) -> Delivered | Unknown | None:
        try:
            with self.config.path.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - LOOK_BACK))
                written = any(_is_about(line, notification.delivery_id) for line in file)
        except FileNotFoundError:
            return None
        except OSError as error:
            return Unknown(f"the file cannot be read: {_say(error)}")
        return Delivered() if written else None

    def check(self) -> str | None:
        path = self.config.path
        if not path.parent.is_dir():
            return f"the folder {path.parent} is not there"
        if path.exists() and not path.is_file():
            return f"{path} is no regular file"
        if not os.access(path if path.exists() else path.parent, os.R_OK | os.W_OK):
            return f"{path} cannot be written by the user whom Trapline runs as"
        return None


def _open(path: str, flags: int) -> int:
    return os.open(path, flags, _MODE)


def _append(file: FileIO, line: bytes) -> None:
    """The line is on the disk when this returns. Raises OSError, and then the file is as it was."""
    end = file.seek(0, os.SEEK_END)
    try:
        _write(file, line if _at_line_start(file, end) else b"\n" + line)
        os.fsync(file.fileno())
        if end == 0:
            _sync_folder(Path(file.name).parent)
    except OSError:
        file.truncate(end)  # half a line, or one that is not surely on the disk, is none
        raise


def _at_line_start(file: FileIO, end: int) -> bool:
    """Not so after a crash in the middle of a line: what is left of that must not spoil the next one."""
    return end == 0 or os.pread(file.fileno(), 1, end - 1) == b"\n"


def _write(file: FileIO, line: bytes) -> None:
    left = memoryview(line)
    while left:
        left = left[file.write(left) :]


def _sync_folder(folder: Path) -> None:
    """A new file's name is on the disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_about(line: bytes, delivery_id: str) -> bool:
    if delivery_id.encode() not in line:  # most lines are not worth the parsing
        return False
    try:
        return bool(delivery_of(json.loads(line)) == delivery_id)
    except (ValueError, LookupError, TypeError):
        return False


def _say(error: OSError) -> str:
    return error.strerror or type(error).__name__
