"""Thread-local variables, in each of several threads: of programs and of libraries, in each of the ways that code finds them.

The program says what the variables of each thread are before it calls the function that is probed.
"""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

import pytest

from probelang.artifact.code import Number
from probelang.dwarf.binary import open_binary
from probelang.dwarf.tls import tls_relocations, tls_segment
from probelang.options import Backend
from probelang.target.location import Unavailable
from probelang.target.tls import tls_address
from tests.conftest import Compile, Run

LIBRARY = r"""
#include <stdio.h>
__thread int lib_a = 11;
static __thread long lib_b;
__thread char lib_pad[300] = "pad";
void in_lib(int n) { lib_a += n; lib_b -= 2 * n; lib_pad[n & 15]++; __asm__ volatile("" ::: "memory"); }
void lib_told(int n) { printf("lib %d %d %ld %d\n", n, lib_a, lib_b, lib_pad[n & 15]); }
"""
PROGRAM = r"""
#include <pthread.h>
#include <stdio.h>
#ifdef DLOPEN
#include <dlfcn.h>
#endif
__thread int own_a = 7;
static __thread long own_b;
__thread double wide __attribute__((aligned(64))) = 2.5;
__thread char odd = 'o';
__attribute__((noinline)) void own(int n) { own_a += n; own_b -= n; odd++; wide *= 2; __asm__ volatile("" ::: "memory"); }
#ifdef LINKED
void in_lib(int n); void lib_told(int n);
#else
static void (*in_lib)(int); static void (*lib_told)(int);
#endif
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static void *thread(void *argument) {
  int n = (int)(long)argument;
  printf("self %d %#lx\n", n, (unsigned long)pthread_self());
  for (int i = 0; i < 3; i++) {
    printf("own %d %d %ld %d\n", n, own_a, own_b, odd);
    own(n);
#if defined LINKED || defined DLOPEN
#ifndef UNUSED
    lib_told(n);
#endif
    in_lib(n);
#endif
  }
  return 0;
}
int main(int argc, char **argv) {
#ifdef DLOPEN
  void *library = dlopen(argv[1], RTLD_NOW);
  if (!library) { puts(dlerror()); return 1; }
  in_lib = dlsym(library, "in_lib"); lib_told = dlsym(library, "lib_told");
#endif
  pthread_t threads[3];
  for (long i = 0; i < 3; i++) pthread_create(threads + i, 0, thread, (void *)(i + 1));
  thread((void *)9L);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], 0);
  return 0;
}
"""
OWN = """
probe process("{p}").function("own") {{ printf("own %d %d %d %d\\n", $n, $own_a, $own_b, $odd) }}
probe process("{p}").function("thread") {{ printf("self %d %#x\\n", $argument, u_register("fs_base")) }}
"""
LIB = """
probe process("{l}").function("in_lib") {{ printf("lib %d %d %d %d\\n", $n, $lib_a, $lib_b, $lib_pad[$n & 15]) }}
"""


def compare(probelang: Run, backend: Backend, script: str, command: str, count: int) -> None:
    """Each line comes twice: of the program and of a probe."""
    done = probelang("run", "--backend", backend, "-e", script, "-c", command)
    assert done.status == 0, done.stderr
    lines = Counter(done.stdout.splitlines())
    assert len(lines) == count and set(lines.values()) == {2}, done.stdout


def slow(*values: object) -> object:
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "flags", ["-O2", "-O2 -static", slow("-O1 -static-pie"), slow("-O2 -no-pie -gdwarf-4"), slow("-O0 -gsplit-dwarf")]
)  # fmt: skip
def test_of_programs(flags: str, backend: Backend, compile_c: Compile, probelang: Run) -> None:
    program = compile_c(PROGRAM, "-g", *flags.split(), "-pthread", name=f"tls{flags}".replace(" ", ""))
    compare(probelang, backend, OWN.format(p=program), shlex.quote(str(program)), 4 * 3 + 4)


def library(compile_c: Compile, *flags: str) -> Path:
    return compile_c(LIBRARY, "-g", "-fPIC", "-shared", *flags, name=f"libtls{''.join(flags)}.so")


@pytest.mark.parametrize(
    "way, flags", [("opened", "-O0"), slow("opened", "-O2 -ftls-model=local-dynamic"), slow("opened", "-O2 -mtls-dialect=gnu2"),
                   slow("linked", "-O2"), ("linked", "-O2 -mtls-dialect=gnu2"), slow("linked", "-O2 -ftls-model=initial-exec")]
)  # fmt: skip
def test_of_libraries(way: str, flags: str, backend: Backend, compile_c: Compile, probelang: Run) -> None:
    lib = library(compile_c, *flags.split())
    if way == "linked":
        words: tuple[str, ...] = ("-DLINKED", str(lib), f"-Wl,-rpath,{lib.parent}")
    else:
        words = ("-DDLOPEN", "-ldl")
    program = compile_c(PROGRAM, "-g", "-O0", *words, "-pthread", name=f"{way}{flags}".replace(" ", ""))
    script = OWN.format(p=program) + LIB.format(l=lib)
    compare(probelang, backend, script, shlex.join((str(program), str(lib))), 2 * 4 * 3 + 4)


def test_a_thread_that_has_not_used_the_library_has_no_variable_there(
    backend: Backend, compile_c: Compile, probelang: Run
) -> None:
    lib = library(compile_c, "-O2")
    program = compile_c(PROGRAM, "-g", "-O0", "-DDLOPEN", "-DUNUSED", "-ldl", "-pthread", name="unused")
    script = f"""probe process("{lib}").function("in_lib") {{
        try {{ println("lib ", $lib_a) }} catch (m) {{ println("# ", m) }} }}"""
    done = probelang("run", "--backend", backend, "-e", script, "-c", shlex.join((str(program), str(lib))))
    lines = done.stdout.splitlines()
    # the first hit of each of the four threads comes before the function has used it
    assert lines.count("# this thread has not used the variable yet") == 4, done.stderr
    assert sorted(line for line in lines if line.startswith("lib")) == sorted(
        f"lib {11 + n * i}" for n in (1, 2, 3, 9) for i in (1, 2)
    )


def test_what_the_loader_writes(compile_c: Compile) -> None:
    """One kind for each way of finding the block."""

    def kinds(*flags: str) -> set[str]:
        return {r.kind for r in tls_relocations(open_binary(str(library(compile_c, *flags))).image)}

    assert kinds("-O2") == {"module"}
    assert kinds("-O2", "-mtls-dialect=gnu2") == {"descriptor"}
    assert kinds("-O2", "-ftls-model=initial-exec") == {"offset"}


def test_files_without_thread_local_storage(compile_c: Compile) -> None:
    binary = open_binary(str(compile_c("int main() { return 0; }", name="plain")))
    assert tls_segment(binary.image) is None
    with pytest.raises(Unavailable, match="no thread-local storage"):
        tls_address(binary, Number(0), Number(0), 0)
