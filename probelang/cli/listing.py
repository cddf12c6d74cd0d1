"""`probelang list` (and run -l, -L): the places that a probe point means, one a line.

probelang list 'process("/bin/bash").function("read*")'
-> process("/usr/bin/bash").function("read_builtin")
   ...
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from probelang.artifact.points import FunctionPoint, ProcessPoint, SyscallPoint
from probelang.cli.arguments import Given, UsageError
from probelang.cli.compiling import watch
from probelang.cli.messages import Messages
from probelang.cli.request import read_options
from probelang.pipeline import known_features, resolve_point
from probelang.resolved import Probe

AT_ENTRY = "int_arg(n) long_arg(n) pointer_arg(n) register(name)"
AT_RETURN = "returnval() register(name)"
AT_SYSCALL = "$syscall $arg1 $arg2 $arg3 $arg4 $arg5 $arg6"


def list_points(given: Given, messages: Messages, point: str | None = None) -> int:
    """`point` is given by run -l; else it is the only word."""
    if point is None:
        if len(given.words) != 1:
            raise UsageError("list takes one probe point, quoted from the shell")
        point = given.words[0]
    options = read_options(given, (), known_features())
    resolved = resolve_point(point, options, watch(given, messages).hooks())
    rows = sorted({row: None for probe in resolved.probes for row in rows_of(probe)})
    for shown, readable, file, address in rows:
        if messages.json:
            row = {"point": shown, "file": file, "address": address, "readable": readable.split()}
            sys.stdout.write(json.dumps(row) + "\n")
        else:
            sys.stdout.write(f"{shown} {readable}\n" if given.has("-L") and readable else f"{shown}\n")
    return 0


def rows_of(probe: Probe) -> Iterator[tuple[str, str, str, int]]:
    """Each place: the point, what can be read there, the file and the address in it (-1 where there is none)."""
    match probe.point:
        case FunctionPoint(binary=binary, sites=sites, is_return=is_return):
            for site in sites:
                yield site.point, AT_RETURN if is_return else AT_ENTRY, binary.path, site.address
        case SyscallPoint(point=point, is_return=is_return):
            yield point, "$syscall $return" if is_return else AT_SYSCALL, "", -1
        case ProcessPoint(point=point):
            yield point, "", "", -1
        case _:
            yield probe.name, "", "", -1
