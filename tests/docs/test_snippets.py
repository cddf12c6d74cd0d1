"""Every script of docs/ and README.md is run with both backends, and its output compared with the one printed below it.

```probe            a script; with ./prog as -c where it has process probes
```probe -g         the same, with this option
```output           what the script above prints
```probe-error E03  a script that must be refused with such a code
```probe-fails TEXT a script that must end with this run-time error
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Compile, Run

ROOT = Path(__file__).parent.parent.parent
FENCE = re.compile(r"^```(\w[\w-]*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


ADDRESS = re.compile(r"\b0x[0-9a-f]{8,}\b")


@dataclass(frozen=True, slots=True)
class Snippet:
    """`page`: the file that it stands in; the scripts of a page run on the program that the page shows."""

    page: Path
    place: str
    kind: str
    argument: str
    text: str
    output: str | None

    @property
    def needs_program(self) -> bool:
        return "process" in self.text


def snippets_of(path: Path) -> Iterator[Snippet]:
    text = path.read_text()
    found = list(FENCE.finditer(text))
    for number, match in enumerate(found):
        following = found[number + 1] if number + 1 < len(found) else None
        output = following[3] if following and following[1] == "output" else None
        if match[1].startswith("probe"):
            line = text.count("\n", 0, match.start()) + 1
            yield Snippet(path, f"{path.name}:{line}", match[1], match[2].strip(), match[3], output)


SNIPPETS = [
    pytest.param(snippet, backend, id=f"{snippet.place} {backend}")
    for path in sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    for snippet in snippets_of(path)
    for backend in (("kernel", "ptrace") if snippet.needs_program else ("auto",))
]


LANGUAGE = ROOT / "docs/language.md"
FLAGS = {"language.md": ("-O1",), "variables.md": ("-O2", "-g"), "callers.md": ("-O2", "-g")}
SAME_PROGRAM = {"stacks.md": "callers.md"}


@pytest.fixture(scope="session")
def programs(compile_c: Compile) -> dict[Path, Path]:
    """The program of each page."""
    found = {
        page: compile_c(source, *FLAGS[page.name], name=f"prog_{page.stem}")
        for page in (ROOT / "docs" / name for name in FLAGS)
        for source in [next(m[3] for m in FENCE.finditer(page.read_text()) if m[1] == "c")]
    }
    return found | {
        ROOT / "docs" / page: found[ROOT / "docs" / other] for page, other in SAME_PROGRAM.items()
    }


@pytest.mark.parametrize(("snippet", "backend"), SNIPPETS)
def test_snippet(
    snippet: Snippet, backend: str, probelang: Run, programs: dict[Path, Path], requires: Callable[..., None]
) -> None:
    prog = programs.get(snippet.page, programs[LANGUAGE])
    words = ["--backend", backend, *(["-c", str(prog)] if snippet.needs_program else [])]
    if snippet.kind == "probe-error":
        # what programs in the kernel cannot do is no mistake with ptrace
        if backend == "ptrace" and snippet.argument == "E05":
            assert probelang("check", *words, "-", stdin=snippet.text).status == 0
            return
        result = probelang("check", *words, "-", stdin=snippet.text)
        assert result.status == 1
        assert f"error[{snippet.argument}" in result.stderr
        return
    if snippet.needs_program:
        requires(*("root", "uprobe_multi") if backend == "kernel" else ("ptrace",))
    if snippet.argument == "-g":
        words.append("-g")
        if backend == "kernel":
            requires("write_user", "write_registers")
    result = probelang("run", *words, "-T", "20", "-", stdin=snippet.text)
    if snippet.kind == "probe-fails":
        assert result.status == 1
        assert snippet.argument in result.stderr
    else:
        assert result.status == 0, result.stderr
        assert snippet.output is None or ADDRESS.sub("ADDRESS", result.stdout) == snippet.output
        assert "internal error" not in result.stderr
