"""A session: a compiled script, from its first probe to its last line of output.

    run(manifest, object_bytes, RunOptions(features=detect(), command=("ls",)), sink)  ->  exit status

In this order: the backend loads and attaches; begin probes; probes run, processes that live already are told, the command of
-c begins; events, timers, signals; detach; end probes, or error probes after too many errors; globals that nobody read;
what was lost.
"""

from __future__ import annotations

import contextlib
import errno
import time
from enum import Enum, auto
from typing import TYPE_CHECKING

from probelang.artifact.manifest import Manifest
from probelang.artifact.points import BinaryFile, FunctionPoint
from probelang.diag import CompileError, Diagnostic
from probelang.runtime.backend import LOST_CALLERS, Backend, Surroundings
from probelang.runtime.buildid import build_id
from probelang.runtime.command import Command, start_command
from probelang.runtime.output.sink import Sink
from probelang.runtime.records import place_text
from probelang.runtime.runoptions import RunOptions
from probelang.runtime.services import SessionServices
from probelang.runtime.signals import EndSignals, Interrupted
from probelang.runtime.timers import TimerHeap
from probelang.runtime.userhalf import UserHalf

if TYPE_CHECKING:
    from probelang.runtime.stacks.profile import StackNames
    from probelang.runtime.stacks.profiling import ProfileWriter

_POLL_S = 0.02  # programs do not wake the reader for every record
_INTERRUPTED = 130  # exit status after a second signal, as of a shell's child
_OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


class Ending(Enum):
    """Why the session is about to end."""

    EXIT = auto()
    SIGNAL = auto()
    COMMAND = auto()
    DURATION = auto()
    ERRORS = auto()


def run(manifest: Manifest, object_bytes: bytes, options: RunOptions, sink: Sink) -> int:
    """The exit status: 0, 1 after an error shutdown, or with `pass_status` that of the command. Raises CompileError
    where it cannot even begin or the output cannot be written. When the reader of the output goes away
    the session is closed without more output, and BrokenPipeError raised."""
    try:
        return _run(manifest, object_bytes, options, sink)
    except Interrupted:
        return _INTERRUPTED
    except OSError as error:
        if error.errno not in _OUTPUT_ERRORS:
            raise
        from probelang.diag.runtime import OutputFailed

        raise CompileError([OutputFailed(reason=str(error.strerror).lower())]) from None


def _run(manifest: Manifest, object_bytes: bytes, options: RunOptions, sink: Sink) -> int:
    _check_files(manifest)
    with EndSignals() as signals, contextlib.ExitStack() as stack:
        command = None
        if options.command is not None:
            command = start_command(options.command)
            stack.callback(command.close)
        session = Session(manifest, options, sink, signals, command)
        stack.callback(session.close)
        return session.run(object_bytes)


def _check_files(manifest: Manifest) -> None:
    """That the files to be probed are those that were compiled for."""
    binaries = {p.point.binary for p in manifest.probes if isinstance(p.point, FunctionPoint)}
    found = [_file_mistake(binary) for binary in sorted(binaries, key=lambda b: b.path)]
    mistakes = [f for f in found if f is not None]
    if mistakes:
        raise CompileError(mistakes)


def _file_mistake(binary: BinaryFile) -> Diagnostic | None:
    try:
        if not binary.build_id or build_id(binary.path) == binary.build_id:
            return None
    except OSError:
        from probelang.diag.runtime import ProbedFileMissing

        return ProbedFileMissing(path=binary.path)
    from probelang.diag.runtime import ProbedFileChanged

    return ProbedFileChanged(path=binary.path)


def _make_backend(object_bytes: bytes, around: Surroundings) -> Backend:
    """What is not used is not imported."""
    if around.options.backend == "ptrace":
        from probelang.runtime.ptrace.backend import PtraceBackend

        return PtraceBackend(around)
    from probelang.runtime.kernelbackend import KernelBackend

    return KernelBackend(object_bytes, around)


class Session:
    """Everything that lives while a script runs."""

    def __init__(
        self,
        manifest: Manifest,
        options: RunOptions,
        sink: Sink,
        signals: EndSignals,
        command: Command | None,
    ) -> None:
        self._manifest = manifest
        self._options = options
        self._sink = sink
        self._signals = signals
        self._command = command
        self._user_errors = 0
        target = command.pid if command is not None else options.pid or 0
        self._services = SessionServices(sink, target, options.next_file)
        self._ending: Ending | None = None
        self._deadline_ns: int | None = None
        self._timers = TimerHeap((), 0)
        self._backend: Backend | None = None
        self._profiles: ProfileWriter | None = None

    def close(self) -> None:
        if self._backend is not None:
            self._backend.close()
        self._services.close()

    # --------------------------------------------------------------------------------- life of a session

    def run(self, object_bytes: bytes) -> int:
        """The exit status."""
        around = Surroundings(
            self._manifest,
            self._options,
            self._sink,
            self._services,
            self._signals,
            self._command,
            self._report_error,
        )
        self._backend = backend = _make_backend(object_bytes, around)
        half = UserHalf(self._manifest, backend.store, self._sink, self._services, self._soft_error)
        try:
            backend.attach(half)
            self._prepare_profiles(backend)
            self._run_handlers(half, backend, "begin")
            if self._look_for_end(backend) is None:
                self._start(half, backend)
                self._loop(half, backend)
            backend.stop()
            if self._profiles is not None:
                self._profiles.take()  # before end probes delete what they have shown
            self._finish(half, backend)
            self._sink.flush()
            self._write_profiles()
        except Interrupted:
            backend.close()
            return _INTERRUPTED
        except BrokenPipeError:
            # nobody reads what the script prints; that is no reason to throw away what it has counted
            with contextlib.suppress(BrokenPipeError):
                self._write_profiles()
            backend.close()
            raise
        return self._status()

    def _start(self, half: UserHalf, backend: Backend) -> None:
        backend.start()
        half.prepare()
        now = time.monotonic_ns()
        self._timers = TimerHeap(half.timers(), now)
        if self._options.duration_s is not None:
            self._deadline_ns = now + int(self._options.duration_s * 1e9)

    def _loop(self, half: UserHalf, backend: Backend) -> None:
        while True:
            for number in self._timers.due(time.monotonic_ns()):
                half.run(number)
                if self._look_for_end(backend) is not None:
                    return
            if self._look_for_end(backend) is not None:
                return
            if not backend.is_behind:
                self._sink.flush()
                self._services.reap()
            backend.handle(self._timeout_ms())

    def _timeout_ms(self) -> int:
        """Until the next timer or the end of -T, and at most until the ring buffer should be looked at."""
        due = [t for t in (self._timers.next_ns(), self._deadline_ns) if t is not None]
        left_ms = _POLL_S * 1000
        if due:
            left_ms = min(left_ms, (min(due) - time.monotonic_ns()) / 1_000_000)
        return max(0, -int(-left_ms // 1))

    def _finish(self, half: UserHalf, backend: Backend) -> None:
        if self._too_many_errors(backend):
            self._ending = Ending.ERRORS
        kind = "error" if self._ending is Ending.ERRORS else "end"
        self._run_handlers(half, backend, kind, to_the_end=True)
        if self._ending is not Ending.ERRORS and self._too_many_errors(backend):
            self._ending = Ending.ERRORS  # in an end probe
        shown = self._options.profile.variables if self._options.profile is not None else frozenset[int]()
        if any(v.report for i, v in enumerate(self._manifest.variables) if i not in shown):
            from probelang.runtime.output.report import final_variables

            named = self._services.symbols.show
            for variable in final_variables(self._manifest.variables, backend.store, shown, named):
                self._sink.variable(variable)
        self._report_losses(half, backend)

    def _prepare_profiles(self, backend: Backend) -> None:
        if self._options.profile is not None:
            from probelang.runtime.stacks.profiling import ProfileWriter

            self._profiles = ProfileWriter(self._options.profile, backend.store, self._stack_names)

    def _stack_names(self) -> StackNames:
        return self._services.symbols.texts

    def _write_profiles(self) -> None:
        if self._profiles is not None:
            for text in self._profiles.write():
                self._sink.warn(text.encode("utf-8", "surrogateescape"))

    def _status(self) -> int:
        if self._ending is Ending.ERRORS:
            return 1
        if self._options.pass_status and self._command is not None:
            return self._command.poll() or 0
        return 0

    def _look_for_end(self, backend: Backend) -> Ending | None:
        """Why to stop now, if at all."""
        if self._ending is None:
            if self._too_many_errors(backend):
                self._ending = Ending.ERRORS
            elif self._services.is_ending or backend.is_ending:
                self._ending = Ending.EXIT
            elif self._signals.count:
                self._ending = Ending.SIGNAL
            elif self._command is not None and self._command.poll() is not None:
                self._ending = Ending.COMMAND
            elif self._deadline_ns is not None and time.monotonic_ns() >= self._deadline_ns:
                self._ending = Ending.DURATION
        return self._ending

    def _run_handlers(self, half: UserHalf, backend: Backend, kind: str, to_the_end: bool = False) -> None:
        """`to_the_end`: whatever the earlier ones asked for."""
        for number in half.lifecycle(kind):
            half.run(number)
            if not to_the_end and self._look_for_end(backend) is not None:
                return

    # ----------------------------------------------------------------------------------- errors and losses

    def _report_error(self, message: bytes, at: int) -> None:
        self._sink.error(message, place_text(self._manifest.places, at))

    def _soft_error(self, message: bytes, at: int) -> None:
        """Of a handler that runs here; the kernel counts its own."""
        self._user_errors += 1
        self._report_error(message, at)
        limits = self._manifest.limits
        if not limits.suppress_errors and self._user_errors > limits.errors:
            self._services.exit()  # at once: no other handler runs

    def _errors(self, backend: Backend) -> int:
        return self._user_errors + backend.errors

    def _too_many_errors(self, backend: Backend) -> bool:
        limits = self._manifest.limits
        return not limits.suppress_errors and self._errors(backend) > limits.errors

    def _report_cut_strings(self, half: UserHalf, backend: Backend) -> None:
        count, at = half.cut_strings
        more, other = backend.cut_strings
        if total := count + more:
            where = place_text(self._manifest.places, other if more else at)
            text = f"{total} strings were cut short{', one ' + where if where else ''} (longer with -S)"
            self._sink.warn(text.encode("utf-8", "surrogateescape"))

    def _report_losses(self, half: UserHalf, backend: Backend) -> None:
        for text in backend.losses():
            self._sink.warn(text.encode("utf-8", "surrogateescape"))
        if half.lost_callers:
            self._sink.warn((LOST_CALLERS % half.lost_callers).encode())
        self._report_cut_strings(half, backend)
        dropped = self._services.speculations.dropped
        if dropped:
            self._sink.warn(b"%d speculative messages were dropped: too many were kept" % dropped)
        errors, limits = self._errors(backend), self._manifest.limits
        if errors and (limits.suppress_errors or limits.errors):
            self._sink.warn(b"%d errors in handlers" % errors)
