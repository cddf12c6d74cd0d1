"""A probe on every function of libc leaves every program working.

git, bash and python run under it; what they print and their exit status must be as without. First on a private copy of
the library, which only these programs load, then on the machine's own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from probelang.options import Backend

WORK = """\
cd {folder}
rm -rf repository && git init -q repository && cd repository
for i in 1 2 3; do echo "line $i" > "file $i"; done
git add . && git -c user.name=a -c user.email=a@b commit -qm first --date "2020-01-01T00:00:00Z" && git ls-files && git diff --stat HEAD
bash -c 'for word in some words here; do echo "$word" | tr a-z A-Z | sed "s/O/0/g"; done; exit 3'; echo "status $?"
{python} -c 'import json, re, threading
found = []
threads = [threading.Thread(target=lambda n=n: found.append(n * n)) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(json.dumps(sorted(found)), re.sub("[aeiou]", "_", "the quick brown fox"), len(repr(2 ** 5000)))'
ls / | wc -l
"""
SCRIPT = 'global n probe process("{libc}").function("*") {{ n++ }} probe end {{ println(n > 10000) }}'


def libc_path() -> Path:
    """The library that this interpreter itself has mapped."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return next(Path(line.split()[-1]) for line in lines if "/libc.so.6" in line or "/libc-" in line)


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("backend", "private"),
    # ptrace writes only into pages of the processes themselves, so that there is no difference
    [("kernel", True), ("kernel", False), ("ptrace", True)],
    ids=["kernel, private copy", "kernel, the machine's own", "ptrace"],
    indirect=["backend"],
)
def test_a_probe_on_every_function_of_libc_harms_nobody(
    private: bool, tmp_path: Path, backend: Backend
) -> None:
    libc, environment = libc_path(), dict(os.environ)
    if private:
        libc = Path(shutil.copy(libc, tmp_path))
        environment["LD_LIBRARY_PATH"] = str(tmp_path)
    work = tmp_path / "work.sh"
    work.write_text(WORK.format(folder=tmp_path, python=sys.executable))
    plain = subprocess.run(
        ["bash", str(work)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    launcher = tmp_path / "launch.sh"
    library_path = environment.get("LD_LIBRARY_PATH", "")
    launcher.write_text(f"LD_LIBRARY_PATH={library_path} exec bash {work}\n")
    output = tmp_path / "output"
    probed = subprocess.run(
        [
            sys.executable, "-m", "probelang.cli.main", "run", "--backend", backend, "-w", "--pass-status", "-o", str(output),
            "-e", SCRIPT.format(libc=libc), "-c", f"bash {launcher}",
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (plain.returncode, "status 3" in plain.stdout) == (0, True)
    assert (probed.returncode, probed.stdout) == (0, plain.stdout), probed.stderr
    assert output.read_text() == "1\n"
