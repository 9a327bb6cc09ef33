"""The list of system calls: its names are names, and both of its forms say the same."""

from __future__ import annotations

import json

import pytest

from trapline.workers.backends import seccomp
from trapline.workers.interface import BackendUnavailable

pytestmark = pytest.mark.bubblewrap


@pytest.mark.usefixtures("bubblewrap")
def test_every_name_is_that_of_a_system_call() -> None:
    resolve = seccomp._library().seccomp_syscall_resolve_name
    names = seccomp.ALLOWED | {one.name for one in seccomp.CONDITIONAL} | {seccomp.MISSING}
    assert {name for name in names if resolve(name.encode()) == -1} == set()


def test_dockers_form_has_all_of_it() -> None:
    profile = json.loads(seccomp.for_docker())
    assert (profile["defaultAction"], profile["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 1)
    free = [rule for rule in profile["syscalls"] if "args" not in rule and rule["action"] == "SCMP_ACT_ALLOW"]
    assert [set(rule["names"]) for rule in free] == [seccomp.ALLOWED]
    bound = [(rule["names"], rule["args"]) for rule in profile["syscalls"] if "args" in rule]
    assert len(bound) == len(seccomp.CONDITIONAL)
    assert not {name for names, _ in bound for name in names} & seccomp.ALLOWED
    assert {arg["op"] for _, args in bound for arg in args} == {"SCMP_CMP_MASKED_EQ"}


@pytest.mark.usefixtures("bubblewrap")
def test_the_kernels_form_is_a_program() -> None:
    assert len(seccomp.for_kernel()) % 8 == 0
    assert 100 < len(seccomp.for_kernel()) / 8 < 4096


def test_without_libseccomp_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> None:
        raise OSError("libseccomp.so.2: cannot open shared object file")

    seccomp.for_kernel.cache_clear()
    monkeypatch.setattr("ctypes.CDLL", absent)
    with pytest.raises(
        BackendUnavailable, match="libseccomp, which limits the system calls, cannot be loaded"
    ) as raised:
        seccomp.for_kernel()
    assert raised.value.remedy == "apt-get install libseccomp2"
