"""Names in the hard cases: processes that have ended, files that are gone or in another mount namespace, code that no file has.

Each program says by its own structure what the names must be. Programs with a `.so` of their own are probed there, so that the program
itself is one that nobody has heard of before the first hit.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from probelang.options import Backend
from tests.conftest import Compile, Result, Run

Requires = Callable[..., None]
NEEDED = ("root", "ring_buffer", "uprobe_multi", "task_vma_iterator")

LIBRARY = "volatile int m; __attribute__((noinline)) int shared_f(int x) { m += x; return m; }"
CALLING = """
#include <unistd.h>
int shared_f(int);
__attribute__((noinline)) int hidden_work(int x) { return shared_f(x) + 1; }
int main(int argc, char **argv) {
    int sum = 0;
    for (int i = 0; i < 5; i++) sum += hidden_work(i);
    usleep(argc > 1 ? 0 : 500000);
    if (argc > 2) unlink(argv[2]);
    for (int i = 0; i < 5; i++) sum += hidden_work(i);
    return sum & 0;
}
"""
JIT = """
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
volatile int n;
__attribute__((noinline)) int callback(int x) { n += x; return n; }
/* push %rbp; mov %rsp,%rbp; movabs $callback,%rax; call *%rax; pop %rbp; ret */
static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xd0, 0x5d, 0xc3};
int main(void) {
    unsigned char *page = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *f = callback;
    char name[64];
    snprintf(name, sizeof name, "/tmp/perf-%d.map", getpid());
    FILE *map = fopen(name, "w");
    for (int i = 0; i < 2; i++) {
        memcpy(page + 64 * i, code, sizeof code);
        memcpy(page + 64 * i + 6, &f, 8);
        fprintf(map, "%lx 12 compiled %s\\n", (long)page + 64 * i, i ? "two" : "one");
    }
    fclose(map);
    for (int i = 0; i < 30; i++) ((int (*)(int))(page + 64 * (i % 3 == 0)))(i);
    usleep(1500000);
    unlink(name);
    return 0;
}
"""
SCRIPT = 'global s, c probe process("{library}").function("shared_f") {{ s[ubacktrace()]++ c[caller()]++ }}'
WHOLE = r"shared_f<-hidden_work<-main<-__libc_start\w*<-__libc_start\w*<-_start"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    (folder / "shared.c").write_text(LIBRARY)
    (folder / "calling.c").write_text(CALLING)
    path = folder / "libshared.so"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", str(folder / "shared.c"), "-o", str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def calling(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, in a folder that nothing points to."""
    program = tmp_path_factory.mktemp("calling") / "calling"
    words = ["gcc", "-O2", "-g", str(library.parent / "calling.c"), "-o", str(program)]
    words += [f"-L{library.parent}", "-lshared", f"-Wl,-rpath,{library.parent}"]
    subprocess.run(words, check=True)
    return program


def counts(result: Result, array: str) -> dict[str, int]:
    assert result.status == 0, result.stderr
    return {n: int(c) for n, c in re.findall(rf'^{array}\["(.*)"\]=(\d+)$', result.stdout, re.MULTILINE)}


def matching(stacks: dict[str, int], pattern: str) -> int:
    return sum(count for stack, count in stacks.items() if re.fullmatch(pattern, stack))


def test_a_program_met_for_the_first_time_is_named_and_then_unwound(
    library: Path, calling: Path, probelang: Run, requires: Requires, tmp_path: Path
) -> None:
    """Its first hits come before its rows do: those stacks are cut, and told."""
    requires(*NEEDED)
    (tmp_path / "script").write_text(f"{calling}\n")
    result = probelang("run", "-e", SCRIPT.format(library=library), "-c", "sh script")
    stacks = counts(result, "s")
    assert sum(stacks.values()) == 10
    assert matching(stacks, WHOLE) >= 5
    assert matching(stacks, WHOLE) + matching(stacks, r"shared_f<-hidden_work<-.*\.\.\.") == 10
    cut = 10 - matching(stacks, WHOLE)
    assert (f"{cut} stacks were cut short" in result.stderr) == (cut > 0)
    assert counts(result, "c") == {"hidden_work": 10}


def test_a_program_that_the_command_names_is_known_before_its_first_hit(
    library: Path, calling: Path, probelang: Run, requires: Requires
) -> None:
    requires(*NEEDED)
    result = probelang("run", "-e", SCRIPT.format(library=library), "-c", f"env X=1 sh -c '{calling} 0; :'")
    assert matching(counts(result, "s"), WHOLE) == 10
    assert result.stderr == ""


def test_a_file_that_was_removed_while_it_ran_has_its_names(
    library: Path, calling: Path, probelang: Run, requires: Requires, tmp_path: Path
) -> None:
    requires(*NEEDED)
    copy = tmp_path / "copy"
    shutil.copy(calling, copy)
    result = probelang("run", "-e", SCRIPT.format(library=library), "-c", f"sh -c '{copy} 0 {copy}; :'")
    assert not copy.exists()
    assert counts(result, "c") == {"hidden_work": 10}


def in_namespace(tmp_path: Path, commands: str) -> str:
    """A command that runs these in a mount namespace of their own; skips where that cannot be done."""
    script = tmp_path / "inside.sh"
    script.write_text(f"set -e\n{commands}\n")
    trial = ["unshare", "-m", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/mnt"]
    if shutil.which("unshare") is None or subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here")
    return f"unshare -m --propagation private sh {script}"


def test_a_program_in_another_mount_namespace_has_names_when_both_are_gone(
    library: Path, calling: Path, probelang: Run, requires: Requires, tmp_path: Path
) -> None:
    requires(*NEEDED)
    command = in_namespace(tmp_path, f"mount -t tmpfs none /mnt\ncp {calling} /mnt/secret\n/mnt/secret")
    result = probelang("run", "-e", SCRIPT.format(library=library), "-c", command)
    assert not Path("/mnt/secret").exists()
    assert counts(result, "c") == {"hidden_work": 10}
    assert matching(counts(result, "s"), WHOLE) >= 5


def test_a_program_on_an_overlay_has_names_and_rows(
    library: Path, calling: Path, probelang: Run, requires: Requires, tmp_path: Path
) -> None:
    requires(*NEEDED)
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    shutil.copy(calling, tmp_path / "lower/prog")
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    mount = f"mount -t overlay overlay -o {options} {tmp_path}/merged"
    command = in_namespace(tmp_path, f"{mount} || exit 77\n{tmp_path}/merged/prog")
    result = probelang("run", "-e", SCRIPT.format(library=library), "-c", command)
    if "overlay" in result.stderr:
        pytest.skip("no overlay here")
    assert counts(result, "c") == {"hidden_work": 10}
    assert matching(counts(result, "s"), WHOLE) >= 5


def test_compiled_code_has_the_names_that_its_process_tells_while_it_lives(
    compile_c: Compile, probelang: Run, backend: Backend
) -> None:
    program = compile_c(JIT, "-O2", name="jit")
    script = f"""
    global s, c, addresses
    probe process("{program}").function("callback") {{ s[ubacktrace()]++ c[caller()]++ addresses[ustack(2)]++ }}
    probe end {{ foreach (address in addresses) println("by ", usymname(address)) }}"""
    result = probelang("run", "--backend", backend, "-e", script, "-c", str(program))
    assert counts(result, "c") == {"compiled one": 20, "compiled two": 10}
    assert result.stdout.startswith("by main\n")
    stacks = counts(result, "s")
    assert matching(stacks, r"callback<-compiled one<-main<-.*_start") == 20
    assert matching(stacks, r"callback<-compiled two<-main<-.*_start") == 10


def test_functions_of_node_have_names(probelang: Run, requires: Requires, tmp_path: Path) -> None:
    requires(*NEEDED, "task_pt_regs")
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node")
    script = tmp_path / "spin.js"
    script.write_text(
        """
        function inner_spin(x) { let s = 0; for (let i = 0; i < 100000; i++) s += i % (x + 1); return s; }
        function outer_spin(x) { return inner_spin(x) + 1; }
        const end = Date.now() + 1500; let t = 0;
        while (Date.now() < end) t += outer_spin(3);
        require("fs").unlinkSync(`/tmp/perf-${process.pid}.map`);
        """
    )
    text = "global s probe timer.profile { if (pid() == target() && user_mode()) s[ubacktrace()]++ }"
    result = probelang("run", "-e", text, "-c", f"{node} --perf-basic-prof {script}")
    stacks = counts(result, "s")
    # the compiler may put the inner function into the outer one
    in_spin = matching(stacks, r"JS:\S*(inner|outer)_spin .*|JS:\S* \S*spin\.js:.*")
    assert in_spin * 2 > sum(stacks.values())
