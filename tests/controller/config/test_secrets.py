"""References to secrets are resolved late and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from trapline.config.secrets import Secret, SecretError, references, resolve_secrets


def test_references_are_resolved_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    options = {
        "token": "${env:TOKEN}",
        "headers": {"Authorization": "Bearer ${file:%s}" % (tmp_path / "token")},
        "urls": ["https://example.org/${env:TOKEN}"],
        "retries": 3,
    }
    resolved = resolve_secrets(options, {"TOKEN": "hunter2"})
    assert resolved == {
        "token": "hunter2",
        "headers": {"Authorization": "Bearer from-file"},
        "urls": ["https://example.org/hunter2"],
        "retries": 3,
    }
    assert "hunter2" not in repr(resolved) and "from-file" not in repr(resolved)
    assert [keys for keys, _ in references(options)] == [("token",), ("headers", "Authorization"), ("urls", 0)]


def test_a_resolved_secret_fits_both_kinds_of_field() -> None:
    class Config(BaseModel):
        url: str
        token: SecretStr

    config = Config.model_validate({"url": Secret("https://x"), "token": Secret("hunter2")})
    assert config.url == "https://x"
    assert config.token.get_secret_value() == "hunter2"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("${env:NOT_THERE}", "NOT_THERE is not set"),
        ("${file:/nowhere/at/all}", "No such file"),
        ("${vault:x}", "no reference"),
        ("${env:}", "no reference"),
        ("${ssm:}", "no reference"),
        ("${secretsmanager:a?zone=b}", "no reference"),
        ("${secretsmanager:a#}", "no reference"),
    ],
)
def test_what_is_missing_is_named(reference: str, words: str) -> None:
    with pytest.raises(SecretError, match=words) as caught:
        resolve_secrets({"auth": {"token": reference}}, {"OTHER": "hunter2"}, destination="jira_main")
    assert "`auth.token` of destination jira_main" in caught.value.message
    assert reference in caught.value.message
    assert caught.value.remedy
    assert "hunter2" not in str(caught.value)
