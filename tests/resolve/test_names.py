"""Functions and variables: what is pulled in from libraries, what hides what, what is unknown."""

from __future__ import annotations

from probelang.diag import names
from probelang.resolve import ResolveResult, dump
from tests.resolve.conftest import Mistakes, Resolve


def defined(result: ResolveResult) -> list[tuple[str, bool]]:
    return [(f.declaration.name, f.library) for f in result.program.functions]


def test_a_library_file_is_pulled_in_whole_when_it_defines_a_called_function(resolved: Resolve) -> None:
    library = "global seen function f() { return seen } function g() { } probe end { g() }"
    result = resolved("probe begin { f() }", library=library)
    assert defined(result) == [("f", True), ("g", True)]
    assert [(g.declaration.name, g.library) for g in result.program.globals] == [("seen", True)]
    assert [p.name for p in result.program.probes] == ["begin", "end"]


def test_what_is_not_used_is_not_pulled_in(resolved: Resolve) -> None:
    assert defined(resolved("probe begin { exit() }", library="function f() { }")) == []


def test_a_library_file_that_is_not_needed_may_be_wrong(resolved: Resolve) -> None:
    assert defined(resolved("probe begin { exit() }", library="function f( {{{")) == []


def test_a_global_of_a_library(resolved: Resolve) -> None:
    result = resolved("probe begin { counter++ }", library="global counter, other")
    assert [g.declaration.name for g in result.program.globals] == ["counter", "other"]


def test_a_private_global_of_a_library_is_not_seen(resolved: Resolve) -> None:
    assert resolved("probe begin { counter++ }", library="private global counter").program.globals == ()


def test_conditions_and_functions_are_followed(resolved: Resolve) -> None:
    library = "function f() { return 1 } global on"
    assert defined(resolved("probe begin if (on) { }", library=library)) == [("f", True)]
    assert defined(resolved("function mine() { return f() } probe begin { }", library=library))[-1] == (
        "f",
        True,
    )


def test_the_user_s_function_replaces_the_library_s_of_the_same_arity(resolved: Resolve) -> None:
    library = "function f(a) { } function f(a, b) { } function g() { f(1) }"
    result = resolved("function f(x) { } probe begin { g() }", library=library)
    found = [(f.declaration.name, len(f.declaration.parameters), f.library) for f in result.program.functions]
    assert found == [("f", 1, False), ("f", 2, True), ("g", 0, True)]


def test_the_user_s_global_replaces_the_library_s(resolved: Resolve) -> None:
    result = resolved("global g = 5 probe begin { f() }", library="global g = 1 function f() { return g }")
    assert [(g.declaration.name, g.library) for g in result.program.globals] == [("g", False)]


def test_overloads_are_all_kept(resolved: Resolve) -> None:
    result = resolved("function f(a):3 { } function f(a):1 { } function f() { } probe begin { f(1) }")
    assert len(result.program.functions) == 3


def test_unknown_functions_once_each_with_near_names(mistakes: Mistakes) -> None:
    script = "function count_all() { } probe begin { cuont_all() zork() zork() } probe end { exiit() }"
    found = mistakes(script)
    assert [(type(m), m.span.text) for m in found if m.span] == [
        (names.UnknownCall, "cuont_all"), (names.UnknownCall, "zork"), (names.UnknownCall, "exiit"),
    ]  # fmt: skip
    assert [m.similar for m in found if isinstance(m, names.UnknownCall)] == [
        ("count_all", "println_all"),
        (),
        ("exit",),
    ]


def test_functions_of_libraries_are_near_names_too(mistakes: Mistakes) -> None:
    (mistake,) = mistakes("probe begin { thread_indnt() }", library="function thread_indent() { }")
    assert isinstance(mistake, names.UnknownCall)
    assert mistake.similar == ("thread_indent",)


def test_private_functions_are_not_seen_by_other_files(mistakes: Mistakes, resolved: Resolve) -> None:
    library = "private function hidden() { } function open() { hidden() }"
    assert defined(resolved("probe begin { open() }", library=library)) == [("hidden", True), ("open", True)]
    (mistake,) = mistakes("probe begin { open() hidden() }", library=library)
    assert isinstance(mistake, names.UnknownCall)
    assert "private to" in mistake.help()


def test_unknown_functions_that_a_used_library_function_calls(mistakes: Mistakes, resolved: Resolve) -> None:
    library = "function f() { zork() } function g() { }"
    (mistake,) = mistakes("probe begin { f() }", library=library)
    assert mistake.span is not None
    assert mistake.span.source.name.endswith("lib.stp")
    assert resolved("probe begin { g() }", library=library)


def test_deep_nesting_is_followed_without_recursion(resolved: Resolve) -> None:
    from probelang import syntax
    from probelang.resolve.references import references
    from probelang.source import SourceFile, Span

    span = Span(SourceFile("deep", ""), 0, 0)
    node: syntax.Expression = syntax.Call(span, "f", (), span)
    for _ in range(50_000):
        node = syntax.Unary(span, "-", node)
    assert [c.name for c in references(node).calls] == ["f"]


def test_the_dump_shows_points_and_places(resolved: Resolve) -> None:
    script = 'global g probe al = process("{pie}").function("visible") if (g) when (1) {} probe al, timer.ms(5), begin {}'
    text = dump(resolved(script).program)
    assert "global g  # user.probe:1:8\n" in text
    assert "every 5000000 ns" in text
    assert 'function("visible")  visible  0x' in text
    assert "    if  # user.probe" in text
