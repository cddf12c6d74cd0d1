"""Runs inside gdb: at each n-th hit of some addresses the stack, as JSON lines. See unwinding.py.

PROBELANG_UNWINDING (environment): a JSON file with `program`, `offsets` (of instructions, in the file), `step`, `most`, `output`.
"""

import contextlib
import json
import os

import gdb  # pyright: ignore

MOST_FRAMES = 127

with open(os.environ["PROBELANG_UNWINDING"]) as stream:
    config = json.load(stream)

for setting in (
    "pagination off",
    "confirm off",
    "debuginfod enabled off",
    "backtrace past-main on",
    "print thread-events off",
    "follow-fork-mode parent",
    "breakpoint pending off",
    "can-use-hw-watchpoints 0",
):
    with contextlib.suppress(gdb.error):
        gdb.execute(f"set {setting}")
gdb.execute("handle all nostop noprint pass", to_string=True)
gdb.execute("starti", to_string=True)


def address_of(offset):
    """Where a byte of the program's file is mapped."""
    with open(f"/proc/{gdb.selected_inferior().pid}/maps") as maps:
        for line in maps:
            words = line.split()
            start, end = (int(text, 16) for text in words[0].split("-"))
            first = int(words[2], 16)
            if words[-1] == config["program"] and first <= offset < first + end - start:
                return start + offset - first
    raise SystemExit(f"{offset:#x} is not mapped")


def stack():
    found = []
    frame = gdb.newest_frame()
    while frame is not None and len(found) < MOST_FRAMES:
        if frame.type() != gdb.INLINE_FRAME:
            found.append(frame.pc())
        try:
            frame = frame.older()
        except gdb.error:
            break
    return found


breakpoints = {}
for number, offset in enumerate(config["offsets"]):
    made = gdb.Breakpoint(f"*{address_of(offset):#x}", internal=True)
    made.silent = True
    breakpoints[made.number] = (number, made)
counts = [0] * len(config["offsets"])
stopped = []
gdb.events.stop.connect(lambda event: stopped.append(event))
with open(config["output"], "w") as output:
    while breakpoints:
        stopped.clear()
        try:
            gdb.execute("continue", to_string=True)
        except gdb.error:
            break
        if gdb.selected_inferior().pid == 0:
            break
        hit = [b.number for event in stopped for b in getattr(event, "breakpoints", [])]
        for which in hit:
            if which not in breakpoints:
                continue
            number, made = breakpoints[which]
            output.write(json.dumps([number, counts[number], stack()]) + "\n")
            counts[number] += config["step"]
            made.ignore_count = config["step"] - 1
            if counts[number] >= config["most"]:
                made.enabled = False
                del breakpoints[which]
if gdb.selected_inferior().pid:
    gdb.execute("kill", to_string=True)
