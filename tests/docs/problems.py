"""`python -m tests.docs.problems`: writes the reference of the codes that `trapline validate` says."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trapline.author.validation.meanings import MEANINGS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "problems.md"

_HEAD = """\
# Problems

`trapline validate` names each problem with a code. Here is what each of them means; the problem itself says where it
is, what is wrong there, and what to do. Errors keep a detection from being deployed, or a file from being used; the
exit code of `validate` is 1 where there is one. Warnings stop nothing.

Codes that are not here are those of [pyflakes](https://github.com/PyCQA/pyflakes), in small letters: a warning
`redefined-while-unused` is its `RedefinedWhileUnused`.

What is said under Advice is looked for by `validate` alone: no deployment waits for it. It is passed over wherever the
code is not understood, so that what is said is worth a look. `attack-format` is an error there all the same.

What is said under Packs is looked for by `trapline registry check` alone, for [packs](../how-to/publish-a-pack.md) that
others are to use.
"""


def written() -> str:
    """The page as the code has it."""
    return _HEAD + "".join(_section(title, codes.items()) for title, codes in MEANINGS.items())


def _section(title: str, codes: Iterable[tuple[str, str]]) -> str:
    rows = (f'| <a id="{code}"></a>`{code}` | {text.replace("|", "&#124;")} |' for code, text in sorted(codes))
    return "\n".join(["", f"## {title}", "", "| code | meaning |", "| --- | --- |", *rows, ""])


if __name__ == "__main__":
    PAGE.write_text(written())
