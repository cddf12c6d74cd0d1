"""What is said of mistakes about the probed program's variables, word by word: `variables/NAME.probe` and `NAME.err` beside it.

`pytest --update-golden` writes the `.err` files anew; look at the difference.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from probelang.diag import CompileError
from probelang.diag.render import render_text
from probelang.diag.variables import VariableUnavailable
from probelang.options import Options
from probelang.pipeline import type_source
from probelang.source import SourceFile

FOLDER = Path(__file__).with_name("variables")
SCRIPTS = sorted(FOLDER.glob("*.probe"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the programs that the scripts name: debug information of one source file of two, and none."""
    made = tmp_path_factory.mktemp("programs")
    for command in (
        ["gcc", "-O2", "-c", FOLDER / "without.c", "-o", "without.o"],
        [
            "gcc",
            "-O2",
            "-g",
            "-Wl,--build-id=0x0123456789abcdef",
            FOLDER / "program.c",
            "without.o",
            "-o",
            "program",
        ],
        ["strip", "--strip-debug", "-o", "stripped", "program"],
    ):
        subprocess.run([str(word) for word in command], check=True, cwd=made)
    return made


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_message(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(CompileError) as caught:
        type_source(SourceFile(path.name, path.read_text()), Options())
    found = render_text(caught.value.diagnostics).replace(f"{folder}/", "/folder/")
    golden = path.with_suffix(".err")
    if request.config.getoption("update_golden"):
        golden.write_text(found)
    assert found == golden.read_text()


def test_the_place_that_is_named_is_one_where_the_variable_can_be_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    script = 'probe process("./program").{place} {{ println($later) }}'
    with pytest.raises(CompileError) as caught:
        type_source(SourceFile("x", script.format(place='function("insert")')), Options())
    (found,) = caught.value.diagnostics
    assert isinstance(found, VariableUnavailable)
    type_source(SourceFile("x", script.format(place=found.nearest)), Options())
