"""What several test folders share: the command line, target programs in C, and the gate of kernel features.

A test that loads programs asks by name for what it needs, `requires("uprobe_multi")`, and is skipped with that name where the
kernel (or the user) lacks it. The end of a run says how many tests each missing feature cost.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from probelang.options import Backend

# no test may fail for being slow: the machine is busy with others
settings.register_profile("probelang", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("probelang")

TIMEOUT_S = 60
MISSING = pytest.StashKey[Counter[str]]()


@dataclass(frozen=True, slots=True)
class Result:
    status: int
    stdout: str
    stderr: str


Run = Callable[..., Result]
Compile = Callable[..., Path]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the expected messages anew")


def is_root() -> bool:
    """Not only in a container, and with what makes root of it."""
    from probelang.runtime.capabilities import CAP_SYS_ADMIN, has_capability
    from probelang.runtime.choice import in_initial_user_namespace

    return os.geteuid() == 0 and has_capability(CAP_SYS_ADMIN) and in_initial_user_namespace()


@pytest.fixture(scope="session")
def kernel_features() -> frozenset[str]:
    """Those of the kernel, and what else a user may or may not: `root`, `ptrace`."""
    from probelang.runtime.features import detect
    from probelang.runtime.ptrace.trial import trace_a_child

    found = detect()
    if is_root():
        found |= {"root"}
    if trace_a_child() is None:
        found |= {"ptrace"}
    return found


@pytest.fixture
def requires(request: pytest.FixtureRequest) -> Callable[..., None]:
    """`requires("uprobe_multi", "sleepable")`: skips the test, naming the first feature that is missing. `root` and `ptrace` are some too."""

    def check(*features: str) -> None:
        available = request.getfixturevalue("kernel_features")
        for feature in features:
            if feature not in available:
                request.config.stash.setdefault(MISSING, Counter())[feature] += 1
                pytest.skip(f"needs {feature}")

    return check


@pytest.fixture(params=["kernel", "ptrace"])
def backend(request: pytest.FixtureRequest, requires: Callable[..., None]) -> Backend:
    """A test of what a script does runs once with each backend, and expects the same. Those about BPF itself do not ask for it."""
    if request.param == "ptrace":
        requires("ptrace")
        return "ptrace"
    requires("root", "ring_buffer", "uprobe_multi")
    return "kernel"


def only(backend: Backend, reason: str) -> pytest.MarkDecorator:
    """For a test, or as `pytestmark` of a module: not with the other backend, and why."""
    assert reason
    return pytest.mark.parametrize("backend", [backend], indirect=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    missing = config.stash.get(MISSING, Counter[str]())
    for feature, count in sorted(missing.items()):
        terminalreporter.write_line(f"{count} tests skipped: this machine lacks {feature}")


@pytest.fixture
def probelang(tmp_path: Path) -> Run:
    """Runs the command line in a process of its own, in a fresh directory: `probelang("check", "-e", "probe begin {}")`."""

    def run(*words: str, stdin: str = "", environment: dict[str, str] | None = None) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "probelang", *words],
            input=stdin.encode("utf-8", "surrogateescape"),
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), **(environment or {})},
            timeout=TIMEOUT_S,
            check=False,
        )
        decoded = (stream.decode("utf-8", "surrogateescape") for stream in (done.stdout, done.stderr))
        return Result(done.returncode, *decoded)

    return run


@pytest.fixture(scope="session")
def compile_c(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compiles C (or, named *.cpp, C++) text or files: `compile_c("int main() {...}", "-O2", name="prog")` -> its path."""
    folder = tmp_path_factory.mktemp("targets")

    def compile_text(source: str | Path, *flags: str, name: str) -> Path:
        path = source
        if isinstance(path, str):
            path = folder / f"{name}.c"
            path.write_text(str(source))
        compiler = "g++" if path.suffix == ".cpp" else "gcc"
        words: Sequence[str] = [compiler, str(path), "-o", str(folder / name), *(flags or ("-O1",))]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stderr}"
        return folder / name

    return compile_text
