"""A package index for tests: wheels and source distributions made on the spot, served over HTTP on this machine."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

_BACKEND = """\
import zipfile
from pathlib import Path

def build_wheel(folder, config_settings=None, metadata_directory=None):
    Path({ran!r}).touch()
    name = "{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(Path(folder, name), "w") as wheel:
        for path, text in {files!r}.items():
            wheel.writestr(path, text)
    return name
"""


class PackageIndex:
    """An index of the files in `folder`. `asked` has every path that was asked for; `status` makes all answers fail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.status = 200
        self.pause = 0.0
        folder.mkdir()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/simple"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wheel(self, name: str, version: str, *, requires: Iterable[str] = ()) -> str:
        """Makes a wheel with one module, and returns the line that locks it."""
        path = self.folder / f"{_module(name)}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            for inside, text in _wheel_files(name, version, requires).items():
                wheel.writestr(inside, text)
        return _locked(name, version, path)

    def sdist(self, name: str, version: str, *, ran: Path, build_requires: Iterable[str] = ()) -> str:
        """Makes a source distribution whose build leaves the file `ran`, and returns the line that locks it."""
        module = _module(name)
        backend = _BACKEND.format(module=module, version=version, files=_wheel_files(name, version), ran=str(ran))
        files = {
            "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            "pyproject.toml": (
                '[build-system]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
                f"requires = {list(build_requires)!r}\n"
                f'[project]\nname = "{name}"\nversion = "{version}"\n'
            ),
            "backend.py": backend,
        }
        path = self.folder / f"{module}-{version}.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            for inside, text in files.items():
                info = tarfile.TarInfo(f"{module}-{version}/{inside}")
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))
        return _locked(name, version, path)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                time.sleep(index.pause)
                kind, _, name = self.path.strip("/").partition("/")
                content = index._file(name) if kind == "files" else index._page(name)
                if index.status != 200 or content is None:
                    self.send_error(404 if index.status == 200 else index.status)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/html" if kind == "simple" else "application/octet-stream")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _file(self, name: str) -> bytes | None:
        path = self.folder / name
        return path.read_bytes() if path.is_file() else None

    def _page(self, name: str) -> bytes | None:
        found = [path.name for path in sorted(self.folder.iterdir()) if path.name.startswith(f"{_module(name)}-")]
        return "".join(f'<a href="/files/{file}">{file}</a>\n' for file in found).encode() or None


@contextmanager
def only_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """An empty index in `folder` that is the only one there is: nothing that this machine says of others counts."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    index = PackageIndex(folder / "index")
    settings = {
        "PIP_CONFIG_FILE": os.devnull,
        "UV_NO_CONFIG": "1",
        "UV_DEFAULT_INDEX": index.url,
        "UV_CACHE_DIR": str(folder / "cache"),
        "UV_HTTP_RETRIES": "0",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    try:
        yield index
    finally:
        index.close()


def _module(name: str) -> str:
    return name.replace("-", "_")


def _wheel_files(name: str, version: str, requires: Iterable[str] = ()) -> dict[str, str]:
    info = f"{_module(name)}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    return {
        f"{_module(name)}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }


def _locked(name: str, version: str, file: Path) -> str:
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"
