"""Files are told apart by what the kernel maps, not by what stat() says of them: overlayfs shows one, and maps another."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.callers.claims import read_claims, script, wrong
from tests.callers.conftest import TARGETS, Build, Built
from tests.conftest import only

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.kernel, only("kernel", "the question is which inode the kernel maps")]
MOUNT = "mount -t overlay overlay -o lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work {0}/merged"


def in_namespace(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """With an overlay of lower/ and upper/ on merged/, which nobody else sees and which ends with the command."""
    line = f"{MOUNT.format(folder)} && {command}"
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", line], capture_output=True, text=True, timeout=60, check=False,
        cwd=folder, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
    )  # fmt: skip


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    # what an overlay may lie on: pytest's folder may be one itself
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    tried = in_namespace(tmp_path, "true")
    if tried.returncode != 0:
        pytest.skip(f"no overlay can be mounted: {tried.stderr.strip()}")
    return tmp_path


@pytest.mark.parametrize(
    "copied_up",
    [("shared", "libother.so"), *(pytest.param(c, marks=pytest.mark.slow) for c in ((), ("liblibrary.so",)))],
    ids=str,
)
def test_callers_in_files_of_an_overlay(
    copied_up: tuple[str, ...], overlay: Path, built: Build, able: str
) -> None:
    """Each in the lower layer, or written to, so that it lies in the upper one."""
    original = built("shared", "c -O2 -pie -g")
    names = {key: Path(path).name for key, path in original.values.items()}
    for name in names.values():
        shutil.copy(Path(original.program).parent / name, overlay / "lower" / name)
    values = {key: str(overlay / "merged" / name) for key, name in names.items()}
    program = Built(TARGETS / "shared.c", original.way, values)
    claims = read_claims(program.source, program.way.traits, values)
    (overlay / "asked.probe").write_text(script(claims))
    touch = "".join(f"chmod u+x merged/{name}; printf x >> merged/{name}; " for name in copied_up)
    run = f"env LD_LIBRARY_PATH={overlay}/merged {program.program} -n 500"
    asked = f"{sys.executable} -m probelang run --backend {able} -c '{run}' -o output asked.probe"
    result = in_namespace(overlay, touch + asked)
    assert result.returncode == 0 and "left out" not in result.stderr, result.stderr
    assert wrong(claims, (overlay / "output").read_text(), result.stdout) == []
