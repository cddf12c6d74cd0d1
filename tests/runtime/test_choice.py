"""Which backend `auto` takes: by what was tried, and by the capabilities of whoever asks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probelang.runtime import choice
from probelang.runtime.capabilities import names_of
from probelang.runtime.choice import Choice, choose_backend
from probelang.runtime.features import FEATURES
from tests.conftest import is_root
from tests.ptrace.users import as_user

ALL = frozenset(FEATURES)
NEEDED = frozenset(name for name, feature in FEATURES.items() if feature.needed)


def test_the_kernel_where_programs_can_be_loaded_and_attached() -> None:
    assert choose_backend(ALL, names_processes=False) == Choice("kernel")
    assert choose_backend(NEEDED | {"uprobe_multi"}, names_processes=False) == Choice("kernel")


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_ptrace_without_a_feature_that_all_programs_need(name: str, requires: Callable[..., None]) -> None:
    requires("root")
    expected = Choice("ptrace", "BPF does not work here")
    assert choose_backend(ALL - {name}, names_processes=False) == expected
    expected = Choice("ptrace", "this user may not use BPF")
    assert as_user(lambda: choose_backend(ALL - {name}, names_processes=False)) == expected


def test_single_uprobes_need_a_right_of_their_own(requires: Callable[..., None]) -> None:
    requires("root")
    assert choose_backend(NEEDED, names_processes=False) == Choice("kernel")
    expected = Choice("ptrace", "this user may not set probes with BPF")
    assert as_user(lambda: choose_backend(NEEDED, names_processes=False)) == expected


def test_processes_whose_numbers_the_kernel_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "sees_all_processes", lambda: False)
    assert choose_backend(ALL, names_processes=False) == Choice("kernel")
    expected = Choice("ptrace", "process ids differ in this container")
    assert choose_backend(ALL, names_processes=True) == expected


def test_names_of_capabilities() -> None:
    assert names_of(0) == ()
    assert names_of(1 << 19 | 1 << 39) == ("cap_sys_ptrace", "cap_bpf")
    assert names_of(1 << 63) == ("cap_63",)


def test_an_ordinary_user_may_not_use_bpf(requires: Callable[..., None]) -> None:
    if not is_root():
        assert not choice.may_use_bpf()
    else:
        requires("ring_buffer")
        assert choice.may_use_bpf() and not as_user(choice.may_use_bpf)
