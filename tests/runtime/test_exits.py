"""The end of processes and threads, each once, whatever ends first."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.options import Backend
from probelang.runtime import exits
from probelang.runtime.features import detect
from probelang.runtime.kernelbtf import kernel_facts

pytestmark = pytest.mark.kernel

CROWD = r"""
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
static void *nap(void *forever) { if (forever) pause(); return forever; }
int main(void)
{
    for (long i = 0; i < 10; i++)
        if (fork() == 0) { /* every second leaves its threads to die with it */
            pthread_t threads[8];
            for (int j = 0; j < 8; j++)
                pthread_create(&threads[j], NULL, nap, (void *)(i & 1));
            for (int j = 0; j < 8 && !(i & 1); j++)
                pthread_join(threads[j], NULL);
            _exit(0);
        }
    while (wait(NULL) > 0)
        ;
    return 0;
}
"""
SCRIPT = """
global ends, threads, named
probe process("{path}").end {{ ends++; if (execname() == "crowd") named++ }}
probe process("{path}").thread.end {{ threads++ }}
probe end {{ println(ends, " ", threads, " ", named) }}
"""


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crowd")
    (folder / "crowd.c").write_text(CROWD)
    subprocess.run(
        ["gcc", "-O1", "-o", str(folder / "crowd"), str(folder / "crowd.c"), "-lpthread"], check=True
    )
    return folder / "crowd"


def test_every_end_is_told_once(crowd: Path, backend: Backend, requires: Callable[..., None]) -> None:
    if backend == "kernel":
        requires("raw_tracepoints", exits.FEATURE)
    script = SCRIPT.format(path=crowd)
    command = [sys.executable, "-m", "probelang", "--backend", backend, "-e", script, "-c", str(crowd)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("11 80 11\n", "")


def test_a_tracepoint_says_how_many_arguments_it_has() -> None:
    facts = kernel_facts(["tracepoint:sched_process_fork", "tracepoint:sched_process_exec"])
    assert list(facts.values()) == [2, 3]


def test_where_no_tracepoint_tells_a_function_does() -> None:
    if exits.FEATURE not in detect():
        pytest.skip("this kernel tells nothing")
    assert exits.tracepoint_tells() or exits.entered_function() > 0
