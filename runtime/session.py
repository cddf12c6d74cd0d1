"""A session: a compiled script, from loading to its last line of output.

    run(manifest, object_bytes, RunOptions(features=detect(), command=("ls",)), sink)  ->  exit status

In this order: load; attach everything while programs still return at once; begin probes; programs count (state RUNNING),
processes that live already are told, the command of -c begins; records, timers, signals; state STOPPING, detach, read
the last records; end probes, or error probes after too many errors; globals that nobody read; what was lost.

Nothing is pinned and every file descriptor is close-on-exec, so even after SIGKILL nothing of ours is left in the kernel; the
command of -c goes on then.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time
from enum import Enum, auto

from probelang.artifact.manifest import STATE_RUNNING, STATE_STOPPING, Manifest
from probelang.artifact.points import BinaryFile, FunctionPoint
from probelang.diag import CompileError, Diagnostic
from probelang.runtime.buildid import build_id
from probelang.runtime.combinedstore import CombinedStore, shared_variables
from probelang.runtime.command import Command, start_command
from probelang.runtime.load import Loaded, load_object
from probelang.runtime.mapstore import MapStore
from probelang.runtime.memorystore import MemoryStore
from probelang.runtime.output.sink import Sink
from probelang.runtime.probes import Attachments, attach_probes
from probelang.runtime.records import RecordHandler, RecordResolver, place_text
from probelang.runtime.ringbuf import RingReader
from probelang.runtime.runoptions import RunOptions
from probelang.runtime.services import SessionServices
from probelang.runtime.signals import EndSignals, Interrupted
from probelang.runtime.targets import fill_targets, may_hit_itself, names_processes, sees_all_processes
from probelang.runtime.timers import TimerHeap
from probelang.runtime.timezone import west_of_utc_s, zone_name_bytes
from probelang.runtime.userhalf import UserHalf

_POLL_S = 0.02  # programs do not wake the reader for every record
_INTERRUPTED = 130  # exit status after a second signal, as of a shell's child
_OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
_BUSY_READS = 8  # of the ring buffer before timers and signals are looked at again


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
    _check_features(manifest, options)
    _check_files(manifest)
    _check_namespace(manifest, options)
    with EndSignals() as signals, contextlib.ExitStack() as stack:
        command = None
        if options.command is not None:
            command = start_command(options.command)
            stack.callback(command.close)
        loaded = stack.enter_context(
            load_object(
                object_bytes,
                manifest,
                features=options.features,
                values=_run_values(manifest, options, command),
                ring_bytes=options.ring_bytes,
            )
        )
        session = Session(loaded, options, sink, signals, command)
        stack.callback(session.close)
        return session.run()


def _check_features(manifest: Manifest, options: RunOptions) -> None:
    missing = _missing_features(manifest, options)
    if not missing:
        return
    from probelang.diag.runtime import FeatureMissing
    from probelang.runtime.features import FEATURES, detect

    here = detect()
    first = {name: feature.first_kernel for name, feature in FEATURES.items()}
    raise CompileError(
        [FeatureMissing(feature=f, first_kernel=first.get(f, ""), forced=f in here) for f in missing]
    )


def _missing_features(manifest: Manifest, options: RunOptions) -> list[str]:
    """What the object needs, and what this run of it needs besides."""
    needed = list(manifest.features)
    if "cookie" in needed and "uprobe_multi" not in options.features:
        needed.append("perf_link")  # without, a single probe has no cookie
    if manifest.needs_targets and (options.pid is not None or options.command is not None):
        needed.append("raw_tracepoints")  # to follow the processes
    return [f for f in dict.fromkeys(needed) if f not in options.features]


def _check_namespace(manifest: Manifest, options: RunOptions) -> None:
    """That the numbers of chosen processes mean the same to the kernel; with others it would count nothing, silently."""
    is_choosing = options.pid is not None or options.command is not None or names_processes(manifest)
    if is_choosing and not sees_all_processes():
        from probelang.diag.runtime import RunFailed

        reason = "process ids differ in this container (run it with the pid namespace of the host)"
        raise CompileError(
            [RunFailed(action="choose processes with -c, -x or `process(PID)`", reason=reason)]
        )


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


def _run_values(manifest: Manifest, options: RunOptions, command: Command | None) -> dict[str, int]:
    """The constants `run:...` of the object."""
    target = command.pid if command is not None else options.pid or 0
    tai_s = time.clock_gettime_ns(time.CLOCK_TAI) - time.clock_gettime_ns(time.CLOCK_REALTIME)
    return {
        "run:target": int(bool(target)),
        "run:target_pid": target,
        "run:self": os.getpid() if may_hit_itself(manifest) and sees_all_processes() else 0,
        # the difference is whole seconds; what was measured between the two calls is not part of it
        "run:tai": round(tai_s / 1_000_000_000) * 1_000_000_000,
        "run:gmtoff": -west_of_utc_s(),
        "run:tz_name": zone_name_bytes(),
    }


class Session:
    """Everything that lives while a loaded program runs."""

    def __init__(
        self, loaded: Loaded, options: RunOptions, sink: Sink, signals: EndSignals, command: Command | None
    ) -> None:
        manifest = loaded.manifest
        self._loaded = loaded
        self._manifest = manifest
        self._options = options
        self._sink = sink
        self._signals = signals
        self._command = command
        self._target_pid = command.pid if command is not None else options.pid or 0
        self._user_errors = 0
        self._attachments = Attachments()
        self._kernel_store = MapStore(manifest, loaded)
        self._kernel_store.set_initial_values()
        self._services = SessionServices(sink, self._target_pid, options.next_file)
        self._store = CombinedStore(
            shared_variables(manifest),
            self._kernel_store,
            MemoryStore(manifest.variables, manifest.limits.map_entries),
        )
        resolver = RecordResolver(self._services)
        self._records = RecordHandler(manifest.records, sink, self._services, resolver, self._report_error)
        self._user_half = UserHalf(manifest, self._store, sink, self._services, self._soft_error)
        self._ring = self._open_ring()
        self._ending: Ending | None = None
        self._deadline_ns: int | None = None
        self._timers = TimerHeap((), 0)

    def _open_ring(self) -> RingReader | None:
        events = next((m for m in self._loaded.maps.values() if m.spec.type == "ringbuf"), None)
        if events is None or not self._manifest.records:
            return None
        return RingReader(events.fd, events.spec.max_entries or self._options.ring_bytes)

    def close(self) -> None:
        self._attachments.close()
        self._services.close()
        if self._ring is not None:
            self._ring.close()
        self._kernel_store.close()

    # --------------------------------------------------------------------------------- life of a session

    def run(self) -> int:
        """The exit status."""
        try:
            self._attach()
            self._run_handlers("begin")
            if self._look_for_end() is None:
                self._start()
                self._loop()
            self._stop()
            self._finish()
            self._sink.flush()
        except Interrupted:
            self._stop_now()
            return _INTERRUPTED
        except BrokenPipeError:
            self._stop_now()
            raise
        return self._status()

    def _attach(self) -> None:
        self._attachments = attach_probes(self._loaded)
        if self._options.pid is not None:
            if not os.path.exists(f"/proc/{self._options.pid}"):
                from probelang.diag.runtime import NoSuchProcess

                raise CompileError([NoSuchProcess(pid=self._options.pid)])
            self._watch(self._options.pid)

    def _watch(self, root: int) -> None:
        targets = self._loaded.maps.get("targets")
        if targets is not None:
            fill_targets(targets.fd, root)

    def _start(self) -> None:
        """The programs count from here on."""
        self._set_state(STATE_RUNNING)
        if self._command is None:
            self._attachments.run_iterators()
        else:
            # only now: until it begins its program the child is not a process of the user's
            self._watch(self._command.pid)
            self._command.release()
        self._user_half.prepare()
        now = time.monotonic_ns()
        self._timers = TimerHeap(self._user_half.timers(), now)
        if self._options.duration_s is not None:
            self._deadline_ns = now + int(self._options.duration_s * 1e9)

    def _stop(self) -> None:
        self._set_state(STATE_STOPPING)
        self._attachments.close()
        while self._read_records():
            pass

    def _stop_now(self) -> None:
        """Without end probes and without output."""
        with contextlib.suppress(Interrupted):
            self._set_state(STATE_STOPPING)
            self._attachments.close()

    def _finish(self) -> None:
        if self._too_many_errors():
            self._ending = Ending.ERRORS
        self._run_handlers("error" if self._ending is Ending.ERRORS else "end", to_the_end=True)
        if self._ending is not Ending.ERRORS and self._too_many_errors():
            self._ending = Ending.ERRORS  # in an end probe
        if any(v.report for v in self._manifest.variables):
            from probelang.runtime.output.report import final_variables

            for variable in final_variables(self._manifest.variables, self._store):
                self._sink.variable(variable)
        self._report_losses()

    def _status(self) -> int:
        if self._ending is Ending.ERRORS:
            return 1
        if self._options.pass_status and self._command is not None:
            return self._command.poll() or 0
        return 0

    # -------------------------------------------------------------------------------------------- events

    def _loop(self) -> None:
        poll = select.poll()
        poll.register(self._signals.fd, select.POLLIN)
        if self._ring is not None:
            poll.register(self._ring.fd, select.POLLIN)
        if self._command is not None:
            poll.register(self._command.pidfd, select.POLLIN)
        while True:
            is_behind = self._read_some()
            for number in self._timers.due(time.monotonic_ns()):
                self._user_half.run(number)
                if self._look_for_end() is not None:
                    return
            if self._look_for_end() is not None:
                return
            if not is_behind:
                self._sink.flush()
                self._services.reap()
                poll.poll(self._timeout_ms())
                self._signals.drain()

    def _timeout_ms(self) -> int:
        """Until the next timer or the end of -T, and at most until the ring buffer should be looked at."""
        due = [t for t in (self._timers.next_ns(), self._deadline_ns) if t is not None]
        left_ms = _POLL_S * 1000
        if due:
            left_ms = min(left_ms, (min(due) - time.monotonic_ns()) / 1_000_000)
        return max(0, -int(-left_ms // 1))

    def _read_records(self) -> bool:
        """Whether there were any."""
        if self._ring is None:
            return False
        batches = self._ring.read()
        for batch in batches:
            self._records.handle(batch)
        return bool(batches)

    def _read_some(self) -> bool:
        """Whether there is more to read."""
        return all(self._read_records() for _ in range(_BUSY_READS))

    def _look_for_end(self) -> Ending | None:
        """Why to stop now, if at all."""
        if self._ending is None:
            if self._too_many_errors():
                self._ending = Ending.ERRORS
            elif self._services.is_ending or self._state() == STATE_STOPPING:
                self._ending = Ending.EXIT
            elif self._signals.count:
                self._ending = Ending.SIGNAL
            elif self._command is not None and self._command.poll() is not None:
                self._ending = Ending.COMMAND
            elif self._deadline_ns is not None and time.monotonic_ns() >= self._deadline_ns:
                self._ending = Ending.DURATION
        return self._ending

    def _run_handlers(self, kind: str, to_the_end: bool = False) -> None:
        """`to_the_end`: whatever the earlier ones asked for."""
        for number in self._user_half.lifecycle(kind):
            self._user_half.run(number)
            if not to_the_end and self._look_for_end() is not None:
                return

    # ----------------------------------------------------------------------------------- words and errors

    def _has_word(self, name: str) -> bool:
        return ".bss" in self._loaded.maps and any(n == name for n, _ in self._manifest.words)

    def _word(self, name: str) -> int:
        return self._loaded.word(name) if self._has_word(name) else 0

    def _state(self) -> int:
        return self._word("state")

    def _set_state(self, state: int) -> None:
        if self._has_word("state"):
            self._loaded.set_word("state", state)

    def _report_error(self, message: bytes, at: int) -> None:
        self._sink.error(message, place_text(self._manifest.places, at))

    def _soft_error(self, message: bytes, at: int) -> None:
        """Of the user half; the kernel half counts its own."""
        self._user_errors += 1
        self._report_error(message, at)

    def _errors(self) -> int:
        return self._user_errors + self._word("errors")

    def _too_many_errors(self) -> bool:
        limits = self._manifest.limits
        return not limits.suppress_errors and self._errors() > limits.errors

    def _report_cut_strings(self) -> None:
        count, at = self._user_half.cut_strings
        if self._word("cut"):
            at = self._word("cut_at") - 1
        if total := count + self._word("cut"):
            where = place_text(self._manifest.places, at)
            text = f"{total} strings were cut short{', one ' + where if where else ''} (longer with -S)"
            self._sink.warn(text.encode("utf-8", "surrogateescape"))

    def _report_losses(self) -> None:
        for word, text in (
            ("lost", "%d records were lost: the buffer was full (larger with -s)"),
            ("skipped", "%d hits were skipped: no scratch memory was free"),
        ):
            count = self._word(word)
            if count:
                self._sink.warn((text % count).encode())
        missed = self._loaded.runs_left_out()
        if missed:
            self._sink.warn(
                b"up to %d events of processes or system calls were missed by the kernel" % missed
            )
        self._report_cut_strings()
        dropped = self._services.speculations.dropped
        if dropped:
            self._sink.warn(b"%d speculative messages were dropped: too many were kept" % dropped)
        if self._errors() and (self._manifest.limits.suppress_errors or self._manifest.limits.errors):
            self._sink.warn(b"%d errors in handlers" % self._errors())
