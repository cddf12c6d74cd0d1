"""Damages small programs in many ways and reads them with all that reads files; each case in a process with limits of its own.

    python -m tests.dwarf.fuzz --seconds 3600 --keep /tmp/found      goes on for an hour; failing files stay in the folder
    python -m tests.dwarf.fuzz --first 17 --cases 100                these cases, for the tests
    python -m tests.dwarf.fuzz --corpus                              what was found once, and must not come back

The exit status is 1 when something was found: an exception that is no answer, a crash, too much time or memory.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import shutil
import signal
import sys
import tarfile
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.dwarf.exercise import exercise
from tests.dwarf.hostile import Base, Edit, build_bases, mutate, write
from tests.dwarf.made import made_program

CORPUS = Path(__file__).parent / "corpus"
MEMORY_BYTES = 1 << 30
CPU_S = 20
MADE = 5
"""One in so many cases is made from nothing."""
WHOLE = 4
"""One in so many cases is compiled too, which takes most of the time."""


@dataclass(frozen=True)
class Failure:
    """`place`: where it shows; equal for what is probably one mistake."""

    place: str
    text: str


def run_apart(work: Callable[[], None]) -> tuple[Failure | None, float]:
    """Runs it in a child with limits of time and memory. With the seconds of processor time that it took."""
    reader, writer = os.pipe()
    before = _children_s()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _limited(work, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read().decode("utf-8", "replace")
    _, status = os.waitpid(child, 0)
    spent = _children_s() - before
    if text:
        return Failure(text.splitlines()[0], text), spent
    if status:
        name = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"status {status >> 8}"
        return Failure(name, name), spent
    return None, spent


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _limited(work: Callable[[], None], writer: int) -> None:
    """Never returns."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S + 5, CPU_S + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGVTALRM, _too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_S)
    try:
        work()
    except BaseException as error:  # noqa: BLE001  # whatever it is, the parent is told
        os.write(writer, _described(error).encode("utf-8", "replace")[:60_000])
    os._exit(0)


class TooLong(BaseException):
    pass


def _too_long(number: int, frame: object) -> None:
    raise TooLong


def _described(error: BaseException) -> str:
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    frames = [
        f
        for f in traceback.extract_tb(cause.__traceback__)
        if "probelang" in f.filename or "runtime" in f.filename
    ]
    last = [f"{Path(f.filename).name}:{f.name}" for f in frames[-2:]]
    if isinstance(cause, TooLong | MemoryError | RecursionError):
        last = [f"{Path(f.filename).name}:{f.name}" for f in frames[2:6]]
    head = f"{type(cause).__name__} {' '.join(last)}"
    return f"{head}\n{''.join(traceback.format_exception(cause))}"


def read_case(base: Base, edits: list[Edit], whole: bool = True) -> tuple[Failure | None, float]:
    with tempfile.TemporaryDirectory() as folder:
        program = write(base, edits, Path(folder))
        return run_apart(lambda: _read(program, Path(folder), whole))


def _read(program: Path, folder: Path, whole: bool = True) -> None:
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    os.environ.pop("DEBUGINFOD_URLS", None)
    exercise(str(program), whole)


def smallest(base: Base, edits: list[Edit], failure: Failure) -> list[Edit]:
    """Without the edits that the failure does not need."""
    kept = list(edits)
    for edit in edits:
        fewer = [e for e in kept if e is not edit]
        found, _ = read_case(base, fewer)
        if found is not None and found.place == failure.place:
            kept = fewer
    return kept


def cases(bases: dict[str, Base], first: int) -> Iterator[tuple[int, Base, list[Edit]]]:
    names = sorted(bases)
    seed = first
    while True:
        random = Random(seed)
        if seed % MADE == 0:
            base = Base("made", {"": made_program(random)})
            yield seed, base, mutate(base, random) if random.random() < 0.2 else []
        else:
            base = bases[random.choice(names)]
            yield seed, base, mutate(base, random)
        seed += 1


def keep(folder: Path, seed: int, base: Base, edits: list[Edit], failure: Failure) -> None:
    """As an archive that the corpus can take, with the traceback beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{base.name}-{seed}"
    with tempfile.TemporaryDirectory() as place, tarfile.open(folder / f"{name}.tar.xz", "w:xz") as archive:
        write(base, edits, Path(place))
        for path in sorted(Path(place).iterdir()):
            info = tarfile.TarInfo(path.name)
            info.size = path.stat().st_size
            archive.addfile(info, io.BytesIO(path.read_bytes()))
    (folder / f"{name}.txt").write_text(f"{edits}\n\n{failure.text}")


def unpack(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / "program"


def run_corpus() -> list[tuple[Path, Failure]]:
    found: list[tuple[Path, Failure]] = []
    for archive in sorted(CORPUS.glob("*.tar.xz")):
        with tempfile.TemporaryDirectory() as folder:
            program = unpack(archive, Path(folder))
            failure, _ = run_apart(lambda program=program, folder=folder: _read(program, Path(folder)))
            if failure is not None:
                found.append((archive, failure))
    return found


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.dwarf.fuzz")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of processor time")
    parser.add_argument("--cases", type=float, default=float("inf"))
    parser.add_argument("--first", type=int, default=0, help="seed of the first case")
    parser.add_argument("--only", action="append", help="programs, by the names in tests/dwarf/hostile.py")
    parser.add_argument("--keep", type=Path, help="folder for failing files")
    parser.add_argument("--corpus", action="store_true")
    given = parser.parse_args(words)
    if given.corpus:
        found = run_corpus()
        for archive, failure in found:
            print(f"{archive.name}: {failure.text}")
        return 1 if found else 0
    place = Path(tempfile.mkdtemp())
    try:
        bases = build_bases(place, given.only)
        _read(place / next(iter(bases)) / "program", place)  # loads once what every child needs
        return _go_on(given, bases)
    finally:
        shutil.rmtree(place)


def _go_on(given: argparse.Namespace, bases: dict[str, Base]) -> int:
    seen: dict[str, int] = {}
    spent, done, said = 0.0, 0, time.monotonic()
    for seed, base, edits in cases(bases, given.first):
        if done >= given.cases or spent >= given.seconds:
            break
        failure, seconds = read_case(base, edits, seed % WHOLE == 0 or base.name == "made")
        spent, done = spent + seconds, done + 1
        if failure is not None:
            seen[failure.place] = seen.get(failure.place, 0) + 1
            if seen[failure.place] == 1:
                print(
                    f"{base.name} {seed}: {failure.text if given.keep is None else failure.place}", flush=True
                )
                if given.keep is not None:
                    keep(given.keep, seed, base, smallest(base, edits, failure), failure)
        if time.monotonic() - said > 60:
            said = time.monotonic()
            print(f"{done} cases, {spent / 60:.1f} minutes, {sum(seen.values())} failures", flush=True)
    print(f"{done} cases of {len(bases)} programs in {spent / 60:.1f} minutes; failures: {seen or 'none'}")
    return 1 if seen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
