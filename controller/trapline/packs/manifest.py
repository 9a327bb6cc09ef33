"""pack.yml: what a pack is called, whose it is, and what its tables are like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from pydantic import AfterValidator, Field, PrivateAttr, ValidationError, WithJsonSchema

from trapline.config.document import Document, UnreadableConfig, present, read_document
from trapline.config.files import File
from trapline.config.locate import Keys
from trapline.config.words import explain, unknown_keys
from trapline.errors import Problem, Severity, TraplineError, has_errors
from trapline.settings.packs import PackName
from trapline.settings.part import Part

FILE_NAME = "pack.yml"


class ManifestError(TraplineError):
    """pack.yml is not there, or cannot be used; `problems` says why, warnings included."""

    def __init__(self, problems: list[Problem]) -> None:
        first = next(problem for problem in problems if problem.severity == "error")
        place = f"{first.path}:{first.line}" if first.line else first.path
        super().__init__(f"{place}: {first.message}", remedy=first.remedy)
        self.problems = tuple(problems)


class LicenseError(ValueError):
    """No expression of SPDX. `remedy` says how to write one."""

    remedy = "write an expression of SPDX, such as Apache-2.0, MIT, or LicenseRef-Proprietary for your own terms"


def _license(value: str) -> str:
    try:
        return canonicalize_license_expression(value)
    except InvalidLicenseExpression:
        raise LicenseError(f"`{value[:100]}` is no licence that SPDX knows") from None


def web_address(value: str) -> str:
    """The value, where it is an https:// or http:// address and nothing else. Raises ValueError."""
    if not value.isprintable() or any(mark in value for mark in " \"'<>\\^`{|}"):
        raise ValueError("an address has no blanks, quotes or control characters")
    parts = urlsplit(value)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("write an address that begins with https://")
    return value


License = Annotated[
    str, AfterValidator(_license), WithJsonSchema({"type": "string", "examples": ["Apache-2.0", "MIT"]})
]
Address = Annotated[str, Field(max_length=500), AfterValidator(web_address)]


class Manifest(Part):
    """All of pack.yml."""

    name: PackName = Field(description="What the pack is called; users may call it otherwise.")
    title: str = Field(min_length=1, max_length=100, description="The same for people, in a few words.")
    description: str = Field(min_length=1, max_length=4000, description="What its detections find, and for whom.")
    license: License = Field(description="The licence of all that is in it, as an SPDX expression.")
    homepage: Address | None = Field(default=None, description="Where to read more.")
    authors: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        default=(), max_length=100, description="Who wrote it."
    )
    tables: Mapping[str, Annotated[str, Field(min_length=1, max_length=1000)]] = Field(
        default_factory=dict, description="What each table is like that its detections read, or a link that says so."
    )

    _document: Document | None = PrivateAttr(default=None)

    def written_in(self, document: Document) -> None:
        """Where problems are placed from now on."""
        self._document = document

    def problem(
        self, keys: Keys, code: str, message: str, remedy: str = "", *, severity: Severity = "error"
    ) -> Problem:
        """A problem of a key of the file, with its line."""
        if self._document is None:
            return Problem(FILE_NAME, 0, severity, code, message, remedy)
        return self._document.problem(keys, code, message, remedy, severity=severity)


def load(files: Mapping[str, File]) -> tuple[Manifest, list[Problem]]:
    """What a repository says of itself as a pack, and warnings. Raises ManifestError, also where it has no pack.yml."""
    file = files.get(FILE_NAME)
    if file is None:
        wrong = "pack.yaml" if "pack.yaml" in files else ""
        message = f"{wrong} is not read" if wrong else "the repository has no pack.yml"
        remedy = f"rename it to {FILE_NAME}" if wrong else "add one at its root, with name, title, description, license"
        raise ManifestError([Problem(wrong or FILE_NAME, 0, "error", "no-manifest", message, remedy)])
    if file.absent:
        raise ManifestError([Problem(FILE_NAME, 0, "error", "file-not-read", f"the file {file.absent}")])
    return parse(file.content)


def parse(text: bytes) -> tuple[Manifest, list[Problem]]:
    """The same from the text of a pack.yml."""
    try:
        document = read_document(FILE_NAME, text)
    except UnreadableConfig as error:
        raise ManifestError([error.problem]) from None
    data = present(document.data)
    problems = [*document.warnings, *unknown_keys(Manifest, document, data)]
    try:
        manifest = Manifest.model_validate(data)
    except ValidationError as error:
        problems += explain(error, document, data)
    if has_errors(problems):
        raise ManifestError(problems)
    manifest.written_in(document)
    return manifest, problems
