"""Profiles made by hand, for the tests of the forms in which they are written."""

from __future__ import annotations

from collections.abc import Sequence

from probelang.runtime.stacks.profile import Frame, Location, Profile, Sample, StackFrames


def location(name: str, module: str = "prog", *inlined: str, line: int = 0) -> Location:
    """An address in a function, and functions inlined there, innermost first."""
    frames = [Frame(inner, module, f"{inner}.c", line + 1, inlined=True) for inner in inlined]
    address = sum(map(ord, name)) + line
    return Location(address, (*frames, Frame(name, module, f"{name}.c", line)), module, f"id-{module}")


def stack(*names: str, module: str = "prog", is_cut: bool = False) -> StackFrames:
    """From the outermost function to the innermost."""
    return StackFrames(tuple(location(name, module) for name in reversed(names)), is_cut)


def sample(weight: int, *stacks: StackFrames, execname: str = "", array: int = 0) -> Sample:
    labels = (("execname", execname.encode("utf-8", "replace")),) if execname else ()
    return Sample(array, labels, stacks, weight, (weight,))


def profile(samples: Sequence[Sample], *arrays: str) -> Profile:
    names = arrays or ("calls",)
    return Profile(names, tuple(("count",) for _ in names), tuple(samples))
