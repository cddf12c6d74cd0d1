"""Every sentence about the language, tried: which scripts it accepts, which it rejects, with what and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from probelang.diag import CompileError, Diagnostic
from probelang.options import Options
from probelang.pipeline import Hooks, parse_source, type_source
from probelang.source import SourceFile
from tests.language.cases import Case, read_cases

HERE = Path(__file__).parent
CASES = [case for path in sorted(HERE.glob("*.cases")) for case in read_cases(path)]


def run(case: Case) -> tuple[list[Diagnostic], list[Diagnostic]]:
    """The mistakes and the warnings of a case."""
    source = SourceFile(case.file, case.script)
    options = Options(
        arguments=case.arguments,
        overrides=case.overrides,
        kernel_release="6.12.3-4-amd64",
    )
    warnings: list[Diagnostic] = []
    stage = parse_source if case.stage == "syntax" else type_source
    try:
        stage(source, options, Hooks(warn=warnings.extend))
    except CompileError as error:
        return list(error.diagnostics), warnings
    return [], warnings


def written(diagnostic: Diagnostic) -> str:
    if diagnostic.span is None:
        return f"{diagnostic.code} -"
    line, column = diagnostic.span.line_column
    return f"{diagnostic.code} {line}:{column}"


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_case(case: Case) -> None:
    found, warnings = run(case)
    shown = [f"{written(mistake)} {mistake.title()}" for mistake in found]
    assert tuple(map(written, found)) == case.mistakes, [case.script, *shown]
    if case.warnings is not None:
        assert tuple(warning.code for warning in warnings) == case.warnings


def test_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert sorted(set(names)) == sorted(names)
