"""C++ names: demangled, without what people do not write, and taken apart."""

from __future__ import annotations

import subprocess

import pytest

from probelang.dwarf.demangle import demangle, last_component, plain_name, with_parameters, without_template


@pytest.mark.parametrize(
    ("demangled", "plain", "last"),
    [
        ("ns::f(int)", "ns::f", "f"),
        ("int ns::f<int>(int)", "ns::f<int>", "f<int>"),
        ("std::vector<int>::push_back(int&&) &", "std::vector<int>::push_back", "push_back"),
        ("(anonymous namespace)::g()", "(anonymous namespace)::g", "g"),
        ("operator new(unsigned long)", "operator new", "operator new"),
        ("A::operator()(int) const", "A::operator()", "operator()"),
        ("A::operator int() const", "A::operator int", "operator int"),
        ("A::operator<<(int)", "A::operator<<", "operator<<"),
        ("void f<int (*)(int)>(int (*)(int))", "f<int (*)(int)>", "f<int (*)(int)>"),
        ("A::f(void (*)(int), int) const", "A::f", "f"),
        ("f[abi:cxx11](int)", "f", "f"),
        ("f(int) [clone .constprop.0]", "f", "f"),
        ("main::{lambda(int)#1}::operator()(int) const", "main::{lambda(int)#1}::operator()", "operator()"),
        ("core::fmt::write", "core::fmt::write", "write"),
        ("plain", "plain", "plain"),
    ],
)
def test_plain_names_and_their_last_components(demangled: str, plain: str, last: str) -> None:
    assert plain_name(demangled) == plain
    assert last_component(plain) == last


def test_the_return_type_goes_and_the_parameters_stay() -> None:
    assert with_parameters("int ns::f<int>(int) const") == "ns::f<int>(int) const"
    assert with_parameters("ns::f(char const*)") == "ns::f(char const*)"


def test_template_arguments_of_the_last_component() -> None:
    assert without_template("A<int>::f<B<int>, 3>") == "A<int>::f"
    assert without_template("A<int>::f") == "A<int>::f"
    assert without_template("A::operator->") == "A::operator->"


@pytest.mark.parametrize(
    "name",
    [
        "_ZN2ns3cls1fEi",
        "_ZNSt6vectorIiSaIiEE9push_backEOi",
        "_ZN12_GLOBAL__N_11gEv",
        "_Znwm",
        "main",
        "_Znonsense",
    ],
)
def test_names_are_those_of_binutils(name: str) -> None:
    expected = subprocess.run(["c++filt", name], check=True, capture_output=True, text=True).stdout.strip()
    assert demangle(name.encode()) == expected


def test_the_hash_of_a_rust_name_goes() -> None:
    assert demangle(b"_ZN4core3fmt5write17h0123456789abcdefE") == "core::fmt::write"
