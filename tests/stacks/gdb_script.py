"""Run by gdb, in its own Python: see gdb_stops.py."""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false

import contextlib
import os
import pickle
import random
import subprocess

import gdb

COUNT, STEPS = int(os.environ["STOPS_COUNT"]), int(os.environ["STOPS_STEPS"])
AT_MOST_S, START, PID = (
    float(os.environ["STOPS_AT_MOST_S"]),
    os.environ["STOPS_START"],
    int(os.environ["STOPS_PID"]),
)
MOST_FRAMES, BEHIND = 4000, 256
random.seed(1)


def areas(pid):
    found = []
    with open(f"/proc/{pid}/maps") as file:
        lines = file.readlines()
    for line in lines:
        fields = line.split(None, 5)
        start, end = (int(part, 16) for part in fields[0].split("-"))
        path = fields[5].strip() if len(fields) > 5 else ""
        found.append((start, end, int(fields[2], 16), "x" in fields[1], path))
    return found


def frames():
    pcs, sps, names = [], [], []
    frame = gdb.newest_frame()
    end = ""
    while frame is not None and len(pcs) < MOST_FRAMES:
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            pcs.append(frame.pc())
            names.append(frame.name() or "?")
            with contextlib.suppress(gdb.error):
                sps.append(int(frame.read_register("rsp")) & ((1 << 64) - 1))
        end = gdb.frame_stop_reason_string(frame.unwind_stop_reason())
        try:
            frame = frame.older()
        except gdb.error as error:
            end = str(error)
            break
    return pcs, sps, names, end


def pieces(pid, sps, known):
    """The stacks, from the innermost frame of each to behind the outermost."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, *_ in known:
            inside = [sp for sp in sps if start <= sp < end]
            if inside:
                low, high = min(inside) - 128, min(end, max(inside) + (1 << 14))
                memory.seek(max(low, start))
                found.append((max(low, start), memory.read(high - max(low, start))))
    return tuple(found)


def note(out, pid):
    known = areas(pid)
    pcs, sps, names, end = frames()
    newest = gdb.newest_frame()
    mask = (1 << 64) - 1
    registers = {
        n: int(newest.read_register(r)) & mask for n, r in (("pc", "rip"), ("sp", "rsp"), ("fp", "rbp"))
    }
    vdso = next(((a[0], a[1]) for a in known if a[4] == "[vdso]"), (0, 0))
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(vdso[0])
        code = memory.read(vdso[1] - vdso[0])
    pickle.dump(
        {**registers, "memory": pieces(pid, [*sps, registers["sp"]], known), "addresses": tuple(pcs), "end": end,
         "names": tuple(names), "areas": known, "vdso": code}, out)  # fmt: skip


def go_on(pid):
    """False where the program has ended."""
    if STEPS:
        gdb.execute(f"stepi {random.randint(1, 2 * STEPS)}", to_string=True)
    else:
        # not a thread: it would wait for the lock that gdb holds while the program runs
        timer = subprocess.Popen(
            ["/bin/sh", "-c", f"sleep {random.random() * AT_MOST_S:.4f}; kill -WINCH {pid}"]
        )
        gdb.execute("continue", to_string=True)
        timer.wait()
    return bool(gdb.selected_inferior().pid)


def main():
    for words in ("confirm off", "pagination off", "backtrace past-main on", "backtrace past-entry on", "width 0",
                  "backtrace limit unlimited", "debuginfod enabled off", "print symbol off"):  # fmt: skip
        gdb.execute(f"set {words}")
    gdb.execute("handle SIGWINCH stop print nopass", to_string=True)
    gdb.execute("handle SIGUSR1 SIGALRM SIGPROF SIGCHLD SIGSEGV nostop noprint pass", to_string=True)
    with open(os.environ["STOPS_OUT"], "wb") as out:
        if PID:
            gdb.execute(f"attach {PID}", to_string=True)
        elif START:
            gdb.execute(f"tbreak {START}", to_string=True)
            gdb.execute("run", to_string=True)
        else:
            gdb.execute("starti", to_string=True)
        pid = gdb.selected_inferior().pid
        for _ in range(COUNT):
            if not pid or not go_on(pid):
                break
            for thread in gdb.selected_inferior().threads() if not STEPS else [gdb.selected_thread()]:
                thread.switch()
                note(out, pid)
        if PID:
            gdb.execute("detach")
        elif gdb.selected_inferior().pid:
            gdb.execute("kill")


main()
