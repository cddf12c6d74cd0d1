"""Scripts that change the probed program: what comes of it is what the same statements, compiled into the program, make of it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.conftest import Compile, Run

STATEMENTS = """\
it->id = -3; it->low = 13; it->mid = -5; it->wide = 0x123456789abcd; it->middle = 0x2aaaaaaaaaaaaa5;
it->tail = 255; it->flag = 6; it->f = 1.5; it->d = 3; it->colour = 9; it->shorts[2] = 70000; it->shorts[0]--;
it->next->id++; --it->next->id; it->next->id -= 7; it->next->wide = -1; it->next->wide ^= 0x5555; it->next->mid += 100;
it->next->low++; it->next->tail -= 200; it->next->d = it->f; it->next->f = 16777217; it->next->f = 0.1; it->flag = 0;
it->big = -1; it->big >>= 1; it->big <<= 3; it->next->big /= 7; it->next->big %= 1000; it->next->big |= 0x100000000;
it->next->flag = 256; it->id = it->next->id = 65537; it->next->next = it; it->id = it->next->next->next->id * 2;
counter = it->id + 1; counter *= 2; it->ratio = 2.75; it->signed_low = 5; it->next->signed_low = -4; it->shorts[1] = 2.9;
"""

SOURCE = r"""
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
enum colour { RED, GREEN, BLUE };
struct item {
  int id; unsigned low : 3; int mid : 7; unsigned long wide : 49; signed char tail; bool flag; float f; double d;
  enum colour colour; struct item *next; short shorts[4]; unsigned long odd : 3, middle : 59; long big; double ratio;
  struct { int before; int signed_low : 3; int after; };
};
struct item one, two;
long counter = 5;
static volatile long changed = 5;
const int fixed = 7;
__attribute__((noinline)) void work(struct item *it, bool itself) {
  if (itself) { STATEMENTS; }
  __asm__ volatile("" ::: "memory");
}
static void show(const char *name, struct item *i) {
  i->next = (struct item *)(long)(i->next == &one ? 1 : i->next == &two ? 2 : 0);
  printf("%s:", name);
  for (unsigned n = 0; n < sizeof *i; n++) printf(" %02x", ((unsigned char *)i)[n]);
  printf("\n");
}
struct pair { int a, b; };
__attribute__((noinline)) int arguments(signed char c, int n, unsigned long m, struct pair p, int six, int seven, int eight) {
  printf("arguments: %d %d %lu %d %d %d %d %d\n", c, n, m, p.a, p.b, six, seven, eight);
  return n;
}
__attribute__((noinline)) long half(int n) { return n / 2; }
__attribute__((noinline)) bool yes(int n) { return n > 0; }
__attribute__((noinline)) int local(int n) {
  volatile int kept = n;
  kept += 1;
  kept *= 2; /* here */
  return kept;
}
int main(int count, char **words) {
  one.next = &two; one.shorts[1] = -1; two.big = 123456789;
  work(&one, count > 1 && !strcmp(words[1], "itself"));
  show("one", &one); show("two", &two);
  printf("counter: %ld\n", counter + changed);
  arguments(-1, 2, 3, (struct pair){4, 5}, 6, 7, 8);
  printf("results: %ld %d\n", half(11), yes(3));
  printf("local: %d\n", local(10));
  printf("fixed: %d\n", *(volatile const int *)&fixed);
}
""".replace("STATEMENTS", STATEMENTS)


@pytest.fixture(params=["-O0", "-O2"], scope="module")
def program(compile_c: Compile, request: pytest.FixtureRequest) -> Path:
    return compile_c(SOURCE, "-g", request.param, name=f"changes{request.param}")


@pytest.fixture
def changing(backend: Backend, requires: Callable[..., None]) -> Backend:
    """A backend that can change programs here."""
    if backend == "kernel":
        requires("write_user", "write_registers")
    return backend


def run(probelang: Run, backend: Backend, program: Path, script: str) -> tuple[dict[str, str], str]:
    """What the program said of its variables, by tag, and what else was printed."""
    text = script.replace("PROGRAM", f'process("{program}")')
    done = probelang("run", "-g", "--backend", backend, "-e", text, "-c", str(program))
    assert done.status == 0, done.stderr
    return said(done.stdout), "".join(re.findall(r"^[^:]*\n", done.stdout, re.MULTILINE))


def said(output: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+): (.*)$", output, re.MULTILINE))


def test_every_statement_does_what_it_does_in_the_program(
    probelang: Run, program: Path, changing: Backend
) -> None:
    body = re.sub(r"\b(it|counter)\b", r"$\1", STATEMENTS)
    found, _ = run(probelang, changing, program, f'probe PROGRAM.function("work") {{ {body} }}')
    own = said(subprocess.run([program, "itself"], capture_output=True, text=True, check=True).stdout)
    untouched = said(subprocess.run([program], capture_output=True, text=True, check=True).stdout)
    assert found == own
    assert all(found[tag] != untouched[tag] for tag in ("one", "two", "counter"))


def test_arguments_are_changed_where_they_are_passed(
    probelang: Run, program: Path, changing: Backend
) -> None:
    script = 'probe PROGRAM.function("arguments") { $c = 300; $n = -41; $m++; $p->b = $p->a--; $p->a += $p->b; $six <<= 2; $seven = 70; $eight += $seven }'
    found, _ = run(probelang, changing, program, script)
    assert found["arguments"] == "44 -41 4 7 4 24 70 78"


def test_results_are_changed_in_return_probes(probelang: Run, program: Path, changing: Backend) -> None:
    script = 'probe PROGRAM.function("half").return { $return *= -3 } probe PROGRAM.function("yes").return { set_returnval(0) }'
    found, _ = run(probelang, changing, program, script)
    assert found["results"] == "-15 0"


def test_locals_are_changed_at_a_line(probelang: Run, program: Path, changing: Backend) -> None:
    line = next(i for i, text in enumerate(SOURCE.split("\n"), 1) if "here */" in text)
    found, printed = run(
        probelang,
        changing,
        program,
        f'probe PROGRAM.statement("local@*:{line}") {{ println($kept); $kept = 500 }}',
    )
    assert printed == "11\n"
    assert found["local"] == "1000"


def test_pointers_in_variables_of_the_script_are_followed(
    probelang: Run, program: Path, changing: Backend
) -> None:
    script = """
    probe PROGRAM.function("work") {
      p = $it->next; p->id = 5; $it->next->shorts[p->id - 3] = 6; @cast(p, "struct item")->tail = 7; @var("changed") = 95
      println(p->id, user_int8(&p->tail), p->shorts[2], " ", p->id++, ++p->id, " ", p->flag = 8, " ", p->f = 0.5, " ", p->mid = 127)
      set_user_int16(&p->shorts[0], -2)
      println(p->shorts[0])
    }"""
    found, printed = run(probelang, changing, program, script)
    assert printed == "576 57 1 0.5 -1\n-2\n"
    assert found["counter"] == "100"


def test_what_is_read_only_stays_so(probelang: Run, program: Path, changing: Backend) -> None:
    script = """
    probe PROGRAM.function("work") {
      try { @var("fixed") = 8 } catch (why) { println(why =~ "^user write fault at 0x") }
      try { set_user_int8(uaddr() + 1, 0) } catch (why) { println(why =~ "^user write fault at 0x") }
      try { set_user_int64(0, 1) } catch (why) { println(why) }
    }"""
    found, printed = run(probelang, changing, program, script)
    assert printed == "1\n1\nuser write fault at 0x0\n"
    assert found["fixed"] == "7"


def test_registers_are_changed_by_name(probelang: Run, program: Path, changing: Backend) -> None:
    found, _ = run(
        probelang,
        changing,
        program,
        'probe PROGRAM.function("half") { set_register("rdi", register("rdi") + 9) }',
    )
    assert found["results"] == "10 1"
