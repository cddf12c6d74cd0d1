"""Values and their text in probes of a real program, with either backend: what the program printed of its own is what scripts see."""

from __future__ import annotations

from pathlib import Path

import pytest

from probelang.options import Backend
from tests.conftest import Compile, Run, only

SOURCE = r"""
#include <stdio.h>
enum colour { RED, GREEN = 7 };
struct list { struct list *next; int id; const char *name; double d; float f; unsigned u : 5; long s : 35; enum colour colour;
  long double wide; char text[8]; short arr[3]; };
double sum;
__attribute__((noinline)) void work(struct list *l, struct list copy, int n) { sum += l->d * n + copy.f; }
int main(void) {
  struct list last = { 0, 2, "two", 2.5, 1e-40f, 3, -1, GREEN, 0.1L, "bbb", { 1, -2, 3 } };
  struct list first = { &last, -1, "one", -0.1, 16777216, 31, -17179869184L, 3, -1e300L, "aaa", { 4, 5, 6 } };
  for (struct list *l = &first; l; l = l->next) {
    printf("%d %s %f %.3e %g %d %ld %d %.17g %s %d\n", l->id, l->name, l->d, l->f, l->f, l->u, (long)l->s, l->colour, (double)l->wide, l->text, l->arr[1]);
    work(l, *l, 2);
  }
  return 0;
}
"""
MEMBERS = "$l->id, user_string($l->name), $l->d, $l->f, $l->f, $l->u, $l->s, $l->colour, $l->wide, user_string($l->text), $l->arr[1]"
PRINT = 'printf("%d %s %f %.3e %g %d %d %d %.17g %s %d\\n", '


@pytest.fixture(scope="module")
def program(compile_c: Compile) -> Path:
    return compile_c(SOURCE, "-g", "-O1", name="both_halves")


def run(probelang: Run, program: Path, backend: Backend, body: str) -> tuple[list[str], list[str]]:
    """What the script printed, and the program."""
    own = program.parent / "own"
    script = f'probe process("{program}").function("work") {{ {body} }}'
    words = ("run", "--backend", backend, "-S", "1024", "-e", script, "-c", f"sh -c 'exec {program} > {own}'")
    done = probelang(*words)
    assert done.status == 0, done.stderr
    return done.stdout.splitlines(), own.read_text().splitlines()


@pytest.mark.kernel
def test_members_are_what_the_program_printed(probelang: Run, program: Path, backend: Backend) -> None:
    found, own = run(probelang, program, backend, f"{PRINT}{MEMBERS})")
    assert found == own and len(own) == 2
    found, own = run(probelang, program, backend, f"{PRINT}{MEMBERS.replace('$l->', '$copy->')})")
    assert found == own


@pytest.mark.kernel
def test_floating_point_numbers_compare(probelang: Run, program: Path, backend: Backend) -> None:
    found, _ = run(probelang, program, backend, "println($l->d < $l->f, $l->d >= 2, $l->d == $copy->d)")
    assert found == ["101", "011"]


@pytest.mark.kernel
def test_objects_are_shown_alike(probelang: Run, program: Path, backend: Backend) -> None:
    found, _ = run(
        probelang,
        program,
        backend,
        "println($copy$); println($l$ == $copy$, $l$$ == $copy$$); println($l->next$)",
    )
    assert found[3] == (
        '{.next=0x0, .id=2, .name="two", .d=2.500000, .f=0.000000, .u=3, .s=-1, .colour=7, .wide=0.100000, .text="bbb", .arr=[...]}'
    )
    assert found[1::3] == ["11", "11"]
    assert found[2::3] == [found[3], "0x0"]


@pytest.mark.kernel
@only("kernel", "the ptrace backend formats in user space")
def test_a_string_of_a_floating_point_number_is_refused_in_the_kernel(
    probelang: Run, program: Path, backend: Backend
) -> None:
    script = f'probe process("{program}").function("work") {{ println(sprintf("%g", $l->d)) }}'
    done = probelang("run", "--backend", backend, "-e", script, "-c", str(program))
    assert done.status == 1 and "E0506" in done.stderr


@pytest.mark.kernel
@pytest.mark.parametrize("more", ["", "user_string($l->name), "])
def test_any_number_of_values_is_printed(probelang: Run, program: Path, backend: Backend, more: str) -> None:
    numbers = ", ".join(f"$l->arr[{i % 3}]" for i in range(100))
    conversions = ("%s " if more else "") + "%d" * 100
    body = f'printf("{conversions}\\n", {more}{numbers}) println(sprintf("{conversions}", {more}{numbers}))'
    found, _ = run(probelang, program, backend, body)
    names = ("one ", "two ") if more else ("", "")
    assert found[::2] == found[1::2] == [names[0] + ("456" * 34)[:100], names[1] + ("1-23" * 34)[:133]]
