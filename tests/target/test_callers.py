"""Arguments that nothing holds any more are found at the caller: real probes behind the last use of a parameter, against what
the program says it passes."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from pathlib import Path

import pytest

from probelang.dwarf.binary import open_binary
from probelang.dwarf.calls import direct_references, references
from probelang.dwarf.files import Files
from probelang.options import Backend
from probelang.target.frame import function_address
from tests.conftest import Compile, Run

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#define NOINLINE __attribute__((noinline, noclone))
static volatile long sink;
NOINLINE void use(long x) { sink += x; __asm__ volatile("" ::: "rdi", "rsi", "rdx", "rcx", "r8", "r9", "r10", "r11", "memory"); }
#define LOSE __asm__ volatile("" ::: "rbx", "rbp", "r12", "r13", "r14", "r15") /* no register keeps anything */
#define TELL(...) printf(__VA_ARGS__), fflush(stdout)

NOINLINE long direct(int a, long b, char c) {
  use(a * 3); use(b); use(c);
  LOSE;
  use(7); /* direct */
  return sink;
}
NOINLINE long tail(int a, int b) { use(a); use(b); return direct(a + 1, b, 'x'); }
NOINLINE long tail_of_tail(int a) { use(a); return tail(a * 2, 40); }
NOINLINE long recurse(int n, int k) {
  if (n <= 0) {
    use(k); use(n);
    LOSE;
    use(1); /* recurse */
    return 5;
  }
  use(k);
  long q = recurse(n - 1, k + n);
  use(n);
  return q + 1;
}
NOINLINE long pointed(int p, int q) {
  use(q); use(p + q);
  LOSE;
  use(3); /* pointed */
  return sink;
}
NOINLINE long other(int p, int q) { use(p); return q; }
typedef long function(int, int);
NOINLINE long through(function *f, int a, int b) { long r = f(a, b); use(a); return r + b; }
NOINLINE long pong(int n, int m);
NOINLINE long ping(int n, int m) {
  use(n + m);
  if (n > 0) return pong(n - 1, m);
  LOSE;
  use(4); /* ping */
  return 9;
}
NOINLINE long pong(int n, int m) { use(m); return ping(n, m + 1); }
NOINLINE int compare(const void *x, const void *y) {
  int d = *(const int *)x - *(const int *)y;
  use(d);
  LOSE;
  use(6); /* compare */
  return 1;
}
int main(int argc, char **argv) {
  long t = 0;
  for (int i = 0; i < 3; i++) {
    TELL("direct %d %d %d\n", i * 5, 17, 'a'); t += direct(i * 5, 17, 'a');
    TELL("direct %d %d %d\n", i + 4, argc + 90, 'x'); t += tail(i + 3, argc + 90);
    TELL("direct %d %d %d\n", i * 2 + 1, 40, 'x'); t += tail_of_tail(i);
  }
  TELL("recurse %d\n", 11 + 3 + 2 + 1); t += recurse(3, 11);
  TELL("pointed %d %d\n", argc + 1, 12); t += through(pointed, argc + 1, 12);
  t += through(other, argc + 1, 13);
  TELL("pointed %d %d\n", 8, argc + 6); t += pointed(8, argc + 6);
  t += ping(1, argc);
  int numbers[] = {argc, 0};
  TELL("compare %p %p\n", (void *)numbers, (void *)(numbers + 1)); t += compare(numbers, numbers + 1);
  qsort(numbers, 2, sizeof(int), compare);
  use(t);
  return 0;
}
"""
SCRIPT = """
probe process("{p}").statement("direct@*:{direct}") {{ printf("direct %d %d %d\\n", $a, $b, $c) }}
probe process("{p}").statement("recurse@*:{recurse}") {{ printf("recurse %d\\n", $k) }}
probe process("{p}").statement("pointed@*:{pointed}") {{ printf("pointed %d %d\\n", $p, $q) }}
probe process("{p}").statement("compare@*:{compare}") {{
  try {{ printf("compare %p %p\\n", $x, $y) }} catch (m) {{ printf("# %s\\n", m) }}
}}
"""


def lines_of(text: str) -> dict[str, int]:
    """The lines that have a name in a comment."""
    return {
        m[1]: n for n, line in enumerate(text.splitlines(), 1) if (m := re.search(r"/\* (\w+) \*/", line))
    }


@pytest.fixture(scope="module", params=["-gdwarf-5", "-gdwarf-4"])
def program(request: pytest.FixtureRequest, compile_c: Compile) -> Path:
    return compile_c(PROGRAM, "-g", "-O2", "-fno-ipa-ra", request.param, name=f"callers{request.param}")


# return probes put an address of their own in the place of each return address
PROBED = ("direct", "recurse", "pointed", "tail", "through", "main")
RETURNS = "global n\n" + "".join(
    f'probe process("{{p}}").function("{name}").return {{{{ n++ }}}}\n' for name in PROBED
)


@pytest.mark.parametrize("more", ["", RETURNS], ids=["alone", "with return probes"])
def test_callers_know_what_they_passed(more: str, program: Path, backend: Backend, probelang: Run) -> None:
    script = (SCRIPT + more).format(p=program, **lines_of(PROGRAM))
    done = probelang("run", "--backend", backend, "-e", script, "-c", shlex.quote(str(program)))
    assert done.status == 0, done.stderr
    lines = Counter(done.stdout.splitlines())
    # the program says each once before, the probe once when it is there
    found = {line: count for line, count in lines.items() if line[0] not in "#n"}
    assert found and set(found.values()) == {2}, done.stdout
    assert {line.split()[0] for line in found} == {"direct", "recurse", "pointed", "compare"}
    # qsort is in another file
    assert lines["# value was optimised out for this caller"] == 1


def test_a_function_that_may_jump_to_itself_has_no_known_caller(program: Path, probelang: Run) -> None:
    point = f'process("{program}").statement("ping@*:{lines_of(PROGRAM)["ping"]}")'
    done = probelang("check", "-e", f"probe {point} {{ println($m) }}")
    assert done.status != 0
    assert "`$m`" in done.stderr and "optimised out" in done.stderr


def test_callers_are_found_in_the_code(program: Path) -> None:
    """As many as a disassembler would find: each `call` and each `jmp` to the function."""
    debug = Files().debug(str(program))
    assert debug is not None
    (direct,) = (
        e for u in debug.info.units for _, _, e in debug.functions.of(u.full) if e.text(3) == "direct"
    )
    address = function_address(direct)
    assert address is not None
    found = references(debug, direct, address)
    assert (len(found.calls), len(found.jumps)) == (1, 1)
    frame_calls = [debug.functions.at(end - 1) for end in (*found.calls, *found.jumps)]
    assert [e.text(3) for e in frame_calls if e is not None] == ["main", "tail"]
    assert len(found.indirect) == 1


def test_no_call_is_overlooked() -> None:
    """Every byte that may begin a call or jump is looked at one by one, for the functions that are called most."""
    binary = open_binary("/bin/bash")
    text = binary.image.section(".text")
    assert text is not None
    data = binary.image.contents(text)
    expected: dict[int, set[int]] = {}
    for at in range(len(data) - 5):
        size = 5 if data[at] in (0xE8, 0xE9) else 6 if data[at] == 0x0F and data[at + 1] & 0xF0 == 0x80 else 0
        if size:
            end = text.address + at + size
            distance = int.from_bytes(data[at + size - 4 : at + size], "little", signed=True)
            expected.setdefault(end + distance, set()).add(end)
    most = sorted(expected, key=lambda target: -len(expected[target]))
    near = [t for t in most if text.address <= t < text.end]
    for target in (*near[:20], *near[2000:2020]):
        calls, jumps = direct_references(binary, target)
        far = {end for end in (*calls, *jumps) if end in expected[target]}
        assert far == expected[target]
        assert all(abs(end - target) <= 130 for end in {*calls, *jumps} - far)
