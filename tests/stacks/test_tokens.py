"""Tokens: what stands in strings for stacks and functions, as it is shown, as functions on strings see it, and as keys of arrays."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.artifact.code import Type, Variable
from probelang.dwarf.binary import open_binary
from probelang.dwarf.functions import find_functions
from probelang.options import Backend
from probelang.runtime.memorystore import MemoryStore
from probelang.runtime.output.report import final_variables, variable_text
from probelang.runtime.stacks.codefiles import CodeFiles
from probelang.runtime.stacks.namedstore import NamedStore
from probelang.runtime.stacks.texts import StackTexts
from tests.conftest import Run

Compile = Callable[..., Path]

CHAIN = """
#include <unistd.h>
volatile int n;
__attribute__((noinline)) int work(int x) { n += x; return n; }
__attribute__((noinline)) int left(int x) { return work(x) + 1; }
__attribute__((noinline)) int right(int x) { int y = work(x) + 2; return work(y) + 3; }
int main(void) {
    for (int i = 0; i < 12; i++)
        i % 3 ? left(i) : right(i);
    return 0;
}
"""
# calls of work(): left 8, right 4 and 4


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chain")
    (folder / "chain.c").write_text(CHAIN)
    words = [
        "gcc",
        "-O2",
        "-g",
        "-fno-optimize-sibling-calls",
        str(folder / "chain.c"),
        "-o",
        str(folder / "chain"),
    ]
    subprocess.run(words, check=True)
    return folder / "chain"


@pytest.fixture
def texts(chain: Path) -> StackTexts:
    return StackTexts(CodeFiles((str(chain),)))


def frame(chain: Path, name: str, distance: int = 0) -> int:
    (function,) = find_functions(open_binary(str(chain)), name)
    return 1 << 48 | function.offset + distance


def name_token(frame: int, pid: int = 0, kind: str = "F") -> bytes:
    return b"\x1b" + f"{kind}{frame:016x}{pid:08x}".encode()


# ---------------------------------------------------------------------------------------------------- as text


def test_names_are_shown_wherever_they_stand_in_a_text(texts: StackTexts, chain: Path) -> None:
    left, work = name_token(frame(chain, "left", 4)), name_token(frame(chain, "work", 3), kind="D")
    assert texts.show(b"in " + left + b", " + work + b".") == b"in left, work+0x3 [chain]."


def test_a_stack_is_shown_as_the_way_down(texts: StackTexts, chain: Path) -> None:
    frames = [frame(chain, "work"), frame(chain, "left", 9), frame(chain, "main", 20)]
    whole, cut = texts.memory.add(frames, 0), texts.memory.add(frames, 0, is_cut=True)
    assert texts.show(whole) == b"work<-left<-main"
    assert texts.show(cut) == b"work<-left<-main<-..."
    assert texts.spell(whole) == b" ".join(b"%#x" % f for f in frames)
    assert texts.name(whole) == whole


def test_a_return_address_belongs_to_the_call_before_it(texts: StackTexts, chain: Path) -> None:
    """A call may be the last instruction of its function."""
    behind = frame(chain, "left") + find_functions(open_binary(str(chain)), "left")[0].size_bytes
    stack = texts.memory.add([frame(chain, "work"), behind], 0)
    assert texts.show(stack) == b"work<-left"
    assert texts.show(texts.memory.add([behind], 0, of_callers=True)) == b"left"


def test_equal_stacks_are_one_also_of_different_processes(texts: StackTexts, chain: Path) -> None:
    add, work = texts.memory.add, frame(chain, "work")
    assert add([work], 1) == add([work], 2)
    assert add([work, 0x1000], 1) != add([work, 0x1000], 2)
    assert len({add([work], 0), add([work, work], 0), add([work], 0, is_cut=True)}) == 3


@pytest.mark.parametrize(
    "text",
    [b"", b"\x1b", b"\x1bS", b"\x1bS0123", b"\x1bSzzzzzzzzzzzzzzzz", b"\x1bX" + b"0" * 24, b"\x1b[31m"],
)
def test_what_is_no_token_is_left_as_it_is(text: bytes, texts: StackTexts) -> None:
    assert texts.show(text) == texts.spell(text) == text


def test_a_stack_that_was_not_kept_says_so(texts: StackTexts) -> None:
    assert texts.show(b"at \x1bS0123456789abcdef") == b"at [lost stack]"


def test_a_string_that_was_cut_inside_a_token_ends_before_it(texts: StackTexts, chain: Path) -> None:
    left = name_token(frame(chain, "left"))
    assert texts.show(left + b" " + left[:9] + b"...") == b"left ..."


def test_lines_have_the_calls_that_were_inlined(texts: StackTexts, chain: Path) -> None:
    stack = texts.memory.add([frame(chain, "work"), frame(chain, "left", 9)], 0)
    full, lines = texts.lines(stack, None, "full"), texts.lines(stack, None, "lines")
    assert re.fullmatch(rb" 0x[0-9a-f]+ : work\+0x0 \[chain\]\n 0x[0-9a-f]+ : left\+0x9 \[chain\]\n", full)
    assert re.search(rb": work\+0x0 at /\S+/chain.c:4 \[chain\]\n", lines)
    assert re.search(rb": left\+0x9 at /\S+/chain.c:5 \[chain\]\n", lines)
    assert texts.lines(stack, None, "names") == b"work left\n"


def test_addresses_that_lie_in_nothing_stay_addresses(texts: StackTexts) -> None:
    assert texts.lines(b"0x10 0x20 broken", 999_999_999, "full") == b" 0x10\n 0x20\n"
    assert texts.show(name_token(0x10, 999_999_999)) == b"0x10"


# ---------------------------------------------------------------------------------------------------- as keys


def stores(texts: StackTexts) -> tuple[MemoryStore, NamedStore]:
    variables = (
        Variable("count", (Type.STRING,), Type.LONG),
        Variable("stats", (Type.STRING, Type.LONG), Type.STATS),
        Variable("text", (Type.STRING,), Type.STRING),
        Variable("last", None, Type.STRING),
    )
    inner = MemoryStore(variables, 100)
    return inner, NamedStore(inner, variables, texts.name)


def test_places_of_one_function_are_one_key(texts: StackTexts, chain: Path) -> None:
    inner, named = stores(texts)
    left, again, work = (name_token(frame(chain, n, d)) for n, d in (("left", 1), ("left", 5), ("work", 2)))
    for key, value in ((left, 3), (again, 4), (work, 5)):
        inner.set_element(0, (key,), value)
    assert dict(named.items(0)) == {(b"left",): 7, (b"work",): 5}
    assert sorted(named.keys(0)) == [(b"left",), (b"work",)]
    assert named.element(0, (b"left",)) == 7
    assert named.contains(0, (b"left",)) and not named.contains(0, (b"right",))
    assert named.update_element(0, (b"left",), lambda n: n + 1 if isinstance(n, int) else 0) == (7, 8)
    inner.set_element(0, (again,), 14)  # a program counts on meanwhile
    assert named.element(0, (b"left",)) == 18
    named.set_element(0, (b"left",), 1)
    assert named.element(0, (b"left",)) == 1
    named.delete(0, (b"left",))
    assert dict(named.items(0)) == {(b"work",): 5}
    assert named.element(0, (b"left",)) is None


def test_an_element_that_is_set_again_keeps_its_short_key(texts: StackTexts, chain: Path) -> None:
    """Names may be longer than the keys of a map."""
    inner, named = stores(texts)
    left = name_token(frame(chain, "left", 1))
    inner.set_element(0, (left,), 3)
    assert list(named.keys(0)) == [(b"left",)]
    named.clear(0)
    named.set_element(0, (b"left",), 9)
    assert inner.items(0) == [((left,), 9)] and named.items(0) == [((b"left",), 9)]


def test_aggregates_of_one_function_are_added_up(texts: StackTexts, chain: Path) -> None:
    inner, named = stores(texts)
    left, again = (name_token(frame(chain, "left", d)) for d in (1, 5))
    for key, value in ((left, 3), (again, 4), (again, 8)):
        inner.accumulate(1, (key, 1), value)
    stat = named.stat(1, (b"left", 1))
    assert stat is not None and (stat.count, stat.sum, stat.minimum, stat.maximum) == (3, 15, 3, 8)
    named.accumulate(1, (b"left", 1), 5)
    named.accumulate(1, (b"new", 1), 5)
    assert {key: value.count for key, value in named.items(1) if not isinstance(value, int | bytes)} == {
        (b"left", 1): 4,
        (b"new", 1): 1,
    }
    assert named.stat(1, (b"none", 1)) is None


def test_values_and_scalars_are_names_too(texts: StackTexts, chain: Path) -> None:
    inner, named = stores(texts)
    left, again = (name_token(frame(chain, "left", d)) for d in (1, 5))
    inner.set_element(2, (left,), again)
    inner.set_scalar(3, again)
    assert named.element(2, (b"left",)) == b"left" and named.scalar(3) == b"left"
    assert named.update_scalar(3, lambda text: text + b"!" if isinstance(text, bytes) else 0) == (
        b"left",
        b"left!",
    )
    named.clear(2)
    assert named.items(2) == []


def test_stacks_that_look_the_same_are_one_row_of_the_report(texts: StackTexts, chain: Path) -> None:
    variables = (
        Variable("a", (Type.STRING,), Type.LONG, report=True),
        Variable("b", (Type.STRING,), Type.STATS, report=True),
    )
    store = MemoryStore(variables, 100)
    for distance, value in ((4, 1), (9, 2)):
        token = texts.memory.add([frame(chain, "work"), frame(chain, "right", distance)], 0)
        store.set_element(0, (token,), value)
        store.accumulate(1, (token,), value)
    shown = [variable_text(v) for v in final_variables(variables, store, show=texts.show)]
    assert shown[0] == b'a["work<-right"]=3\n'
    assert shown[1] == b'b["work<-right"] @count=2 @min=1 @max=2 @sum=3 @avg=1\n'


# --------------------------------------------------------------------------------------------- in real scripts

STACKS = """
global seen, by, last
probe process("{chain}").function("work") {{
  seen[ubacktrace()]++
  by[caller()] <<< 1
  last = caller()
}}
probe end {{
  foreach (name in by-) printf("%-7s|%d\\n", name, @count(by[name]))
  foreach (stack in seen-) {{ printf("%d %s\\n", seen[stack], substr(sprint(stack), 0, 10)) total += seen[stack] }}
  foreach (stack+ in seen) printf("%s,", substr(sprint(stack), 6, 4))
  println(total, " ", last, " ", last == "left", " ", "right" in by, " ", isinstr(last, "ef"))
  delete by["left"]
  println("left" in by)
}}
"""


def test_stacks_and_names_in_a_script(chain: Path, backend: Backend, probelang: Run, tmp_path: Path) -> None:
    result = probelang("run", "--backend", backend, "-e", STACKS.format(chain=chain), "-c", str(chain))
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert sorted(lines[:2]) == ["left   |8", "right  |8"]
    assert sorted(lines[2:5]) == ["4 work<-righ", "4 work<-righ", "8 work<-left"]
    assert lines[5:] == ["left,righ,righ,16 left 1 1 1", "0"]


def test_other_names_of_what_shows_stacks(chain: Path, backend: Backend, probelang: Run) -> None:
    """Also of a stack that is none, before anything was hit."""
    script = f"""
    global kept
    probe begin {{ println("[", ubacktrace(), sprint_ustack(ubacktrace()), "]", symfileline(1), symline(2), symfile(3)) }}
    probe process("{chain}").function("work") {{ kept = ubacktrace() }}
    probe end {{
      print_usyms(kept)
      println(sprint_ustack(kept) == sprint_usyms(kept))
      address = strtol(tokenize(kept, " "), 16)
      println(usymname(address), " ", usymdata(address), " ", umodname(address), " ", symfileline(address), " ", symline(address))
      println(symfile(address) =~ "/chain.c$")
    }}"""
    result = probelang("run", "--backend", backend, "-e", script, "-c", str(chain))
    first, work, *rest = result.stdout.splitlines()
    assert first == "[]0x10x20x3"
    assert re.fullmatch(r" 0x[0-9a-f]+ : work\+0x0 \[chain\]", work)
    assert rest[-3:] == ["1", "work work+0x0 [chain] chain chain.c:4 4", "1"]


def test_reports_show_names(chain: Path, backend: Backend, probelang: Run) -> None:
    script = f'global a, b probe process("{chain}").function("work") {{ a[callers(2)]++ b[usymname(ustack(1))]++ }}'
    result = probelang("run", "--backend", backend, "-e", script, "-c", str(chain))
    assert result.stdout.splitlines() == [
        'a["left<-main"]=8',
        'a["right<-main"]=8',
        'b["left"]=8',
        'b["right"]=8',
    ]


def test_what_a_timer_takes_over_by_names_is_complete(
    compile_c: Compile, probelang: Run, requires: Callable[..., None]
) -> None:
    requires("root", "ring_buffer", "uprobe_multi", "task_vma_iterator")
    program = compile_c(CHAIN.replace("i < 12", "i < 200000"), "-O2", name="flood")
    script = f"""
    global calls, total, turns
    probe process("{program}").function("work") {{ calls[caller()]++ }}
    probe timer.ms(10) {{ foreach (name in calls) total[name] += calls[name]; delete calls; turns++ }}
    probe end {{
      foreach (name in calls) total[name] += calls[name]
      foreach (name+ in total) println(name, " ", total[name])
      println(turns > 1)
    }}"""
    result = probelang("run", "-e", script, "-c", str(program))
    assert result.stdout.splitlines() == ["left 133333", "right 133334", "1"]
