"""--flame, --folded and --pprof: what is to be written of the arrays that are keyed by stacks.

--flame out.svg --weight sum x.probe   ->  ProfileRequest((Output("flame", "out.svg"),), (StackArray("bytes", ..),), by_sum=True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probelang.artifact.manifest import Manifest
from probelang.cli.arguments import Given, UsageError

if TYPE_CHECKING:
    from probelang.artifact.stackkeys import StackArray
    from probelang.runtime.stacks.profiling import ProfileRequest

WEIGHTS = ("count", "sum")
OUTPUTS = ("--flame", "--folded", "--pprof")
CHOICES = ("--weight", "--stacks-of")


def weighs_sums(given: Given) -> bool:
    """Raises UsageError."""
    weight = given.last("--weight")
    if weight not in (None, *WEIGHTS):
        raise UsageError(f"--weight takes count or sum, not `{weight}`")
    wanted = [option for option in OUTPUTS if given.has(option)]
    for option in CHOICES:
        if given.has(option) and not wanted:
            raise UsageError(f"{option} says something about --flame, --folded or --pprof: give one of them")
    return weight == "sum"


def asked_profile(given: Given, manifest: Manifest) -> ProfileRequest | None:
    """None where no file is asked for. Raises UsageError, and CompileError where the script or the files are not made for it."""
    by_sum = weighs_sums(given)
    if not any(given.has(option) for option in OUTPUTS):
        return None
    from probelang.runtime.stacks.profiling import Output, ProfileRequest

    outputs = (
        *(Output("flame", path) for path in given.all("--flame")),
        *(Output("folded", path) for path in given.all("--folded")),
        *(Output("pprof", path) for path in given.all("--pprof")),
    )
    request = ProfileRequest(outputs, _arrays(given, manifest, by_sum), by_sum)
    request.check()
    return request


def _arrays(given: Given, manifest: Manifest, by_sum: bool) -> tuple[StackArray, ...]:
    """Those that are named with --stacks-of, or all."""
    from probelang.artifact.stackkeys import stack_arrays
    from probelang.diag import CompileError, similar_names
    from probelang.diag.invocation import NoStackArray, NoSums, NotAStackArray

    known = stack_arrays(manifest)
    if not known:
        option = next(option for option in OUTPUTS if given.has(option))
        raise CompileError([NoStackArray(option=option)])
    wanted = given.all("--stacks-of") or tuple(array.name for array in known)
    names = [array.name for array in known]
    for name in wanted:
        if name not in names:
            similar = similar_names(name, names) or tuple(names)
            raise CompileError([NotAStackArray(name=name, similar=similar)])
    chosen = tuple(array for array in known if array.name in wanted)
    mistakes = [NoSums(name=a.name) for a in chosen if by_sum and a.has_count and not a.has_sum]
    if mistakes:
        raise CompileError(mistakes)
    return chosen
