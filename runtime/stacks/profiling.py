"""The files of --flame, --folded and --pprof: what is asked for, and how it is written when a session ends.

request.check()                                               before the session: can the files be written?
write_profiles(request, take_snapshot(arrays, store), names)  ->  ["`calls` is empty: ..."]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from probelang.artifact.stackkeys import StackArray
from probelang.diag import CompileError, Diagnostic
from probelang.runtime.stacks.outputs import check_writable, write_whole
from probelang.runtime.stacks.profile import (
    Paths,
    Profile,
    Snapshot,
    StackNames,
    find_paths,
    make_profile,
    take_snapshot,
)
from probelang.runtime.store import Store

Form = Literal["flame", "folded", "pprof"]


@dataclass(frozen=True, slots=True)
class Output:
    """`path` `-` is standard output."""

    form: Form
    path: str

    @property
    def file(self) -> str:
        return "/dev/stdout" if self.path == "-" else self.path


@dataclass(frozen=True, slots=True)
class ProfileRequest:
    """`by_sum`: aggregates are weighed by their sums, not their counts."""

    outputs: tuple[Output, ...]
    arrays: tuple[StackArray, ...]
    by_sum: bool = False

    @property
    def variables(self) -> frozenset[int]:
        """Numbers of the variables that are written so."""
        return frozenset(array.variable for array in self.arrays)

    def check(self) -> None:
        """Raises CompileError with every file that cannot be written."""
        mistakes: list[Diagnostic] = []
        for output in self.outputs:
            try:
                check_writable(output.file)
            except OSError as error:
                mistakes.append(_unwritable(output, error))
        if mistakes:
            raise CompileError(mistakes)


class ProfileWriter:
    """From the beginning of a session to its end. `names` are asked for when they are needed."""

    def __init__(self, request: ProfileRequest, store: Store, names: Callable[[], StackNames]) -> None:
        self._request = request
        self._store = store
        self._names = names
        self._started_ns = time.time_ns()
        self._snapshot: Snapshot | None = None
        self._is_written = False

    def take(self) -> None:
        """What the arrays hold now is what will be written."""
        self._snapshot = take_snapshot(self._request.arrays, self._store, self._started_ns)

    def write(self) -> list[str]:
        """What is to be said about it. Writes as many files as it can; raises CompileError for the others. Once only."""
        if self._is_written:
            return []
        self._is_written = True
        if self._snapshot is None:
            self.take()
        assert self._snapshot is not None
        profile = make_profile(self._snapshot, self._names(), self._request.by_sum)
        paths = find_paths(profile)
        mistakes: list[Diagnostic] = []
        for output in self._request.outputs:
            try:
                write_whole(output.file, _content(output.form, profile, paths))
            except BrokenPipeError:
                raise  # as whatever else is written to standard output
            except OSError as error:
                mistakes.append(_unwritable(output, error))
        if mistakes:
            raise CompileError(mistakes)
        return list(_remarks(self._request, profile, paths))


def _content(form: Form, profile: Profile, paths: Paths) -> bytes:
    match form:
        case "flame":
            from probelang.runtime.stacks.flame import flame_graph

            return flame_graph(paths, ", ".join(profile.arrays), measure(profile.measures))
        case "folded":
            from probelang.runtime.stacks.folded import folded

            return folded(paths)
        case "pprof":
            from probelang.runtime.stacks.pprof import pprof

            return pprof(profile)


def measure(measures: Sequence[Sequence[str]]) -> str:
    """What widths mean, where all arrays agree."""
    kinds = {names[0] for names in measures}
    texts = {"count": "times", "sum": "in sum"}
    return texts.get(kinds.pop(), "in all") if len(kinds) == 1 else "in all"


def _remarks(request: ProfileRequest, profile: Profile, paths: Paths) -> Iterator[str]:
    files = ", ".join(output.path for output in request.outputs)
    if not profile.samples:
        empty = " and ".join(f"`{name}`" for name in profile.arrays)
        yield f"{empty} had no stacks when the session ended: {files} shows nothing"
    if paths.negative and any(output.form != "pprof" for output in request.outputs):
        yield f"{paths.negative} stacks with values below zero are in no picture"


def _unwritable(output: Output, error: OSError) -> Diagnostic:
    from probelang.diag.invocation import UnwritableFile

    return UnwritableFile(path=output.path, reason=(error.strerror or "failed").lower())
