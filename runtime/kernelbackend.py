"""The backend that runs handlers in the kernel: load, attach, read the ring buffer.

Everything is attached while programs still return at once; then the word `state` lets them count. Nothing is pinned and every file
descriptor is close-on-exec, so even after SIGKILL nothing of ours is left in the kernel.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from typing import TYPE_CHECKING

from probelang.artifact.manifest import STATE_RUNNING, STATE_STOPPING, Manifest
from probelang.diag import CompileError
from probelang.runtime.backend import CUT_STACKS, LOST_CALLERS, Surroundings
from probelang.runtime.combinedstore import CombinedStore, shared_variables
from probelang.runtime.load import load_object
from probelang.runtime.mapstore import MapStore
from probelang.runtime.memorystore import MemoryStore
from probelang.runtime.probes import Attachments, attach_probes
from probelang.runtime.records import RecordHandler, RecordResolver
from probelang.runtime.ringbuf import RingReader
from probelang.runtime.runoptions import RunOptions
from probelang.runtime.signals import Interrupted
from probelang.runtime.store import Store
from probelang.runtime.targets import fill_targets, may_hit_itself, names_processes, sees_all_processes
from probelang.runtime.timezone import west_of_utc_s, zone_name_bytes
from probelang.runtime.userhalf import UserHalf

if TYPE_CHECKING:
    from probelang.runtime.stacks.kernel import KernelCode

_BUSY_READS = 8  # of the ring buffer before timers and signals are looked at again
_CODE_MAPS = ("code_files", "unwind_rows", "stacks")
_CODE_CONSTANTS = ("inode:", "exe_inode:")
_LOSSES = (
    ("lost", "%d records were lost: the buffer was full (larger with -s)"),
    ("skipped", "%d hits were skipped: no scratch memory was free"),
    (
        "unhooked",
        "%d returns were left out: signal handlers called there, on a stack of their own above a hooked call",
    ),
    ("lost_callers", LOST_CALLERS),
    ("lost_stacks", "%d stacks were lost: too many different ones"),
    ("cut_stacks", CUT_STACKS),
)


class KernelBackend:
    """A `Backend`; the object is loaded when it is made. Raises CompileError."""

    def __init__(self, object_bytes: bytes, around: Surroundings) -> None:
        manifest, options = around.manifest, around.options
        _check_features(manifest, options)
        _check_namespace(manifest, options)
        self._around = around
        self._resources = contextlib.ExitStack()
        self._code = _kernel_code(around)
        if self._code is not None:
            self._resources.callback(self._code.close)
        self._attachments = Attachments()
        self.is_behind = False
        try:
            self._loaded = self._resources.enter_context(
                load_object(
                    object_bytes,
                    manifest,
                    features=options.features,
                    values=_run_values(around) | (self._code.values() if self._code else {}),
                    ring_bytes=options.ring_bytes,
                    value_sizes=self._code.value_sizes() if self._code else None,
                )
            )
            if self._code is not None:
                self._code.fill(self._loaded)
                around.services.symbols.use(self._code)
            self._maps = MapStore(manifest, self._loaded)
            self._resources.callback(self._maps.close)
            self._maps.set_initial_values()
            self._ring = self._open_ring()
        except BaseException:
            self._resources.close()
            raise
        memory = MemoryStore(manifest.variables, manifest.limits.map_entries)
        self._store = CombinedStore(shared_variables(manifest), self._named_maps(), memory)
        show = around.services.symbols.show if self._makes_tokens() else None
        resolver = RecordResolver(around.services, show)
        self._records = RecordHandler(manifest.records, around.sink, around.services, resolver, around.report)
        self._poll = self._make_poll()

    def _named_maps(self) -> Store:
        """What programs count, with names of functions where the script shows them."""
        if self._code is None:
            return self._maps
        from probelang.runtime.stacks.called import names_functions
        from probelang.runtime.stacks.namedstore import NamedStore

        if not names_functions(self._around.manifest):
            return self._maps
        manifest, symbols = self._around.manifest, self._around.services.symbols
        return NamedStore(self._maps, manifest.variables, symbols.name_functions)

    def _makes_tokens(self) -> bool:
        if self._code is None:
            return False
        from probelang.runtime.stacks.called import makes_tokens

        return makes_tokens(self._around.manifest)

    def _open_ring(self) -> RingReader | None:
        events = next((m for m in self._loaded.maps.values() if m.spec.type == "ringbuf"), None)
        if events is None or not self._around.manifest.records:
            return None
        ring = RingReader(events.fd, events.spec.max_entries or self._around.options.ring_bytes)
        self._resources.callback(ring.close)
        return ring

    def _make_poll(self) -> select.poll:
        poll = select.poll()
        poll.register(self._around.signals.fd, select.POLLIN)
        if self._ring is not None:
            poll.register(self._ring.fd, select.POLLIN)
        if self._around.command is not None:
            poll.register(self._around.command.pidfd, select.POLLIN)
        return poll

    @property
    def store(self) -> Store:
        return self._store

    def attach(self, half: UserHalf) -> None:
        self._attachments = attach_probes(self._loaded)
        pid = self._around.options.pid
        if pid is not None:
            if not os.path.exists(f"/proc/{pid}"):
                from probelang.diag.runtime import NoSuchProcess

                raise CompileError([NoSuchProcess(pid=pid)])
            self._watch(pid)

    def _watch(self, root: int) -> None:
        targets = self._loaded.maps.get("targets")
        if targets is not None:
            fill_targets(targets.fd, root)

    def start(self) -> None:
        if self._has_word("hooked_since") and not _has_own_time():
            self._loaded.set_word("hooked_since", time.clock_gettime_ns(time.CLOCK_MONOTONIC))
        self._set_state(STATE_RUNNING)
        command = self._around.command
        if command is None:
            self._attachments.run_iterators()
        else:
            # only now: until it begins its program the child is not a process of the user's
            self._watch(command.pid)
            command.release()

    def handle(self, timeout_ms: int) -> None:
        if not self.is_behind:
            self._poll.poll(timeout_ms)
            self._around.signals.drain()
        self.is_behind = all(self._read_records() for _ in range(_BUSY_READS))
        if self._code is not None:
            self._code.work()

    def _read_records(self) -> bool:
        """Whether there were any."""
        if self._ring is None:
            return False
        batches = self._ring.read()
        for batch in batches:
            self._records.handle(batch)
        return bool(batches)

    def stop(self) -> None:
        self._set_state(STATE_STOPPING)
        self._attachments.close()
        while self._read_records():
            pass

    def close(self) -> None:
        with contextlib.suppress(Interrupted):
            self._attachments.close()
        self._resources.close()

    # --------------------------------------------------------------------------------------------- words

    def _has_word(self, name: str) -> bool:
        return ".bss" in self._loaded.maps and any(n == name for n, _ in self._around.manifest.words)

    def _word(self, name: str) -> int:
        return self._loaded.word(name) if self._has_word(name) else 0

    def _set_state(self, state: int) -> None:
        if self._has_word("state"):
            self._loaded.set_word("state", state)

    @property
    def is_ending(self) -> bool:
        return self._word("state") == STATE_STOPPING

    @property
    def errors(self) -> int:
        return self._word("errors")

    @property
    def cut_strings(self) -> tuple[int, int]:
        return self._word("cut"), self._word("cut_at") - 1

    def losses(self) -> list[str]:
        found = [text % self._word(word) for word, text in _LOSSES if self._word(word)]
        if self._code is not None:
            found += self._code.losses()
        missed = self._loaded.runs_left_out()
        if missed:
            found.append(f"up to {missed} events of processes or system calls were missed by the kernel")
        return found


def _kernel_code(around: Surroundings) -> KernelCode | None:
    """None where programs do not ask whose code an address is."""
    if not any(n in _CODE_MAPS for n in (m.name for m in around.manifest.maps)) and not any(
        c.name.startswith(_CODE_CONSTANTS) for c in around.manifest.constants
    ):
        return None
    from probelang.runtime.stacks.kernel import KernelCode

    return KernelCode(around.manifest, around.options, around.target_pid)


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


def _has_own_time() -> bool:
    """Whether the clock runs differently here from the kernel's own (time_namespaces(7))."""
    try:
        with open("/proc/self/timens_offsets") as f:
            return any(int(word) for line in f for word in line.split()[1:])
    except (OSError, ValueError):
        return False


def _run_values(around: Surroundings) -> dict[str, int]:
    """The constants `run:...` of the object."""
    target = around.target_pid
    tai_s = time.clock_gettime_ns(time.CLOCK_TAI) - time.clock_gettime_ns(time.CLOCK_REALTIME)
    return {
        "run:target": int(bool(target)),
        "run:target_pid": target,
        "run:command_pid": around.command.pid if around.command is not None else 0,
        "run:self": os.getpid() if may_hit_itself(around.manifest) and sees_all_processes() else 0,
        # the difference is whole seconds; what was measured between the two calls is not part of it
        "run:tai": round(tai_s / 1_000_000_000) * 1_000_000_000,
        "run:gmtoff": -west_of_utc_s(),
        "run:tz_name": zone_name_bytes(),
    }
