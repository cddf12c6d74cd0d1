"""Runs inside gdb: `gdb -x driver.py PROGRAM`, with the environment variables ORACLE_FILES (the files whose functions are looked at,
by ":") and ORACLE_RESULT (where the report goes, as JSON).

A breakpoint stands on every instruction of every function that the sources of the corpus have in these files. Where one is hit, each
variable of the function, of inlined functions around the place and, at the first instruction, of the file is compared. The
breakpoints are our own (a byte in memory, restored when it is hit): gdb needs a second for a hundred of its own.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[3]), *os.environ["ORACLE_PATH"].split(":")]

from probelang.dwarf import constants as c
from probelang.dwarf import operations as op
from probelang.dwarf.entry import Entry
from probelang.dwarf.files import Debug, Files
from probelang.dwarf.scopes import Scope
from probelang.dwarf.types import origins
from probelang.target.abi import UNSURE, VECTOR
from probelang.target.prologue import prologue_end
from probelang.target.site import Place, TargetSite
from tests.target.oracle import debugger
from tests.target.oracle.compare import Comparison, Outcome, Stopped, shown

VISITS = int(os.environ.get("ORACLE_VISITS", "2"))
SOURCES = ("plain.c", "classes.cpp", "library.c")
BREAKPOINT = b"\xcc"
JUMP = b"\xff\x25\0\0\0\0"  # to where the next 8 bytes say


@dataclass(slots=True)
class Module:
    path: str
    bias: int
    debug: Debug


@dataclass(slots=True)
class Report:
    """`pairs`: different variables at different instructions. `values`: what was compared of them, by outcome."""

    pairs: set[tuple[str, int, str]] = field(default_factory=set[tuple[str, int, str]])
    values: Counter[str] = field(default_factory=Counter[str])
    differences: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    stops: int = 0


class Oracle:
    def __init__(self) -> None:
        self.gdb = debugger.connect()
        self.files = Files()
        self.report = Report()
        self.visits: Counter[int] = Counter()
        self.passed: dict[str, Outcome] = {}
        self.function = (0, 0)
        self.stored_at = 0
        self.code: dict[int, bytes] = {}
        """By run-time address: the byte that a breakpoint replaced."""
        self.modules: list[Module] = []

    # ------------------------------------------------------------------------------------------ the process

    def run(self) -> None:
        gdb = self.gdb
        for command in ("set pagination off", "set confirm off", "set width 0", "set debuginfod enabled off",
                        "set print entry-values no", "set startup-with-shell off", "handle SIGTRAP nopass nostop noprint",
                        "handle SIGTRAP stop print", "break main", "run"):  # fmt: skip
            gdb.execute(command, to_string=True)
        gdb.execute("delete", to_string=True)
        self.process = gdb.selected_inferior()
        self.memory = os.open(f"/proc/{self.process.pid}/mem", os.O_RDONLY)
        for path in os.environ["ORACLE_FILES"].split(":"):
            debug = self.files.debug(path)
            assert debug is not None, path
            module = Module(path, self._bias(path), debug)
            self.modules.append(module)
            self._arm(module)
        program = self.modules[0]
        self.scratch = program.bias + int.from_bytes(
            Path(program.path).read_bytes()[24:32], "little"
        )  # e_entry: done with
        last = 0
        while self.process.pid:
            pc = int(gdb.newest_frame().read_register("pc"))
            if last and self._is_set(pc - 1):  # the first stop is gdb's own, at main
                pc -= 1
                self.process.write_memory(pc, self.code[pc])
                self._move_to(pc)
            if last and self.visits[last] < VISITS:
                self.process.write_memory(last, BREAKPOINT)
            self.visits[pc] += 1
            self.stop(pc)
            last = pc
            gdb.execute("continue", to_string=True)

    def _move_to(self, address: int) -> None:
        """By a jump and a step: had the program counter only been set, gdb would go on with the inlined functions of where it was."""
        self.process.write_memory(self.scratch, JUMP + address.to_bytes(8, "little"))
        self.gdb.execute(f"set $pc = {self.scratch}")
        self.gdb.execute("stepi", to_string=True)

    def _is_set(self, address: int) -> bool:
        return address in self.code and os.pread(self.memory, 1, address) == BREAKPOINT

    def _bias(self, path: str) -> int:
        if self.files.binary(path).kind == "exec":
            return 0
        for line in Path(f"/proc/{self.process.pid}/maps").read_text().splitlines():
            words = line.split()
            if words[-1] == os.path.realpath(path) and int(words[2], 16) == 0:
                return int(words[0].partition("-")[0], 16)
        raise AssertionError(f"{path} is not mapped")

    def _arm(self, module: Module) -> None:
        architecture = self.process.architecture()
        for unit in module.debug.info.units:
            if not unit.full.name.endswith(SOURCES):
                continue
            for low, high, _ in module.debug.functions.of(unit.full):
                for row in architecture.disassemble(module.bias + low, module.bias + high - 1):
                    self.code[row["addr"]] = bytes(self.process.read_memory(row["addr"], 1))
        for address in self.code:
            self.process.write_memory(address, BREAKPOINT)

    # ------------------------------------------------------------------------------------------- the frames

    def stop(self, pc: int) -> None:
        self.report.stops += 1
        self.hit = Stopped(self.gdb, pc, self.memory)
        module = next(m for m in self.modules if m.debug.functions.at(pc - m.bias) is not None)
        frames = [self.gdb.newest_frame()]
        while frames[-1].type() == self.gdb.INLINE_FRAME and (older := frames[-1].older()) is not None:
            frames.append(older)
        levels = _levels(module.debug, pc - module.bias)
        if len(frames) > len(levels):
            self.differ(
                module,
                pc,
                "inlined functions",
                str([_name(f) for f in frames]),
                str([s.name for s in levels]),
            )
            return
        for frame, scope in zip(reversed(frames), levels, strict=False):
            self.frame(module, pc, frame, scope)

    def frame(self, module: Module, pc: int, frame: debugger.Frame, scope: Scope) -> None:
        address = pc - module.bias
        site = TargetSite(
            self.files, Place(module.path, address, scope.name, scope.instance.offset, is_entry=False)
        )
        if not _same_function(frame.function(), scope):
            self.differ(module, pc, "function", _name(frame), scope.name)
            return
        compared: set[str] = set()
        for symbol in self._symbols(frame, scope, address == _low(scope.function)):
            if symbol.name not in compared:
                compared.add(symbol.name)
                self.variable(
                    module, pc, frame, site, self.gdb.lookup_symbol(symbol.name, frame.block())[0] or symbol
                )
        missing = set(scope.variables()) - compared
        if missing:
            self.differ(module, pc, "variables", "none", str(sorted(missing)))

    def _symbols(self, frame: debugger.Frame, scope: Scope, of_file: bool) -> list[debugger.Symbol]:
        found: list[debugger.Symbol] = []
        names = set(scope.variables())
        block: debugger.Block | None = frame.block()
        start = block
        while block is not None:
            found += [s for s in block if self._is_local(s, names)]
            if block.function is not None:
                break
            block = block.superblock
        if of_file:
            for outer in (start.static_block, start.global_block):
                found += [s for s in outer if s.is_variable]
        return found

    def _is_local(self, symbol: debugger.Symbol, names: set[str]) -> bool:
        """A constant too, but no enumerator. A label that was optimised out is a variable, but for its type."""
        if symbol.addr_class == self.gdb.SYMBOL_LOC_CONST:
            is_enum = symbol.type.strip_typedefs().unqualified().code == self.gdb.TYPE_CODE_ENUM
            return not is_enum or symbol.name in names
        return (symbol.is_variable or symbol.is_argument) and symbol.type.name != "__CORE_ADDR"

    def variable(
        self, module: Module, pc: int, frame: debugger.Frame, site: TargetSite, symbol: debugger.Symbol
    ) -> None:
        try:
            theirs = frame.read_var(symbol)
        except self.gdb.error as reason:
            self.report.values[f"gdb: {str(reason).partition(' for process ')[0]}"] += 1
            return
        comparison = Comparison(self.gdb, self.hit)
        expression = _location(site, symbol.name)
        comparison.entered = op.entry_value in expression or op.GNU_entry_value in expression
        comparison.blind = self._blindness(module, frame, site, expression)
        outcome = comparison.variable(site, symbol.name, theirs)
        address = pc - module.bias
        if self._is_stored_later(site, symbol.name):
            self.passed[symbol.name] = outcome
            return
        if address == self.stored_at and (passed := self.passed.pop(symbol.name, None)) is not None:
            self.stored(module, pc, passed, outcome)
        self.report.pairs.add((module.path, pc - module.bias, f"{site.place.instance}:{symbol.name}"))
        self.report.values += outcome.counts
        for path, known, mine in outcome.differences:
            self.differ(module, pc, path, known, mine)

    def _blindness(self, module: Module, frame: debugger.Frame, site: TargetSite, expression: bytes) -> str:
        """Where gdb's values are not what was passed or what is there, or ours do not reach."""
        if site.scope.unit.base is not None and expression[-1:] == bytes((op.GNU_push_tls_address,)):
            return "gcc's split files have the address of the initial value for the offset"
        if not (op.entry_value in expression or op.GNU_entry_value in expression):
            return ""
        if frame.type() == self.gdb.INLINE_FRAME:
            return "gdb reads registers of the function around an inlined one as those of its caller"
        names = [_name(frame)]
        outer = frame.older()
        if outer is not None and module.debug.functions.at(outer.pc() - module.bias) is None:
            return "passed by another file"
        while outer is not None and len(names) < 4:
            names.append(_name(outer))
            outer = outer.older()
        return "recursion" if names.count(names[0]) > 2 else ""

    def _is_stored_later(self, site: TargetSite, name: str) -> bool:
        """A parameter at the first instruction, which is described by where it will be stored: gdb shows what happens to be there."""
        scope, address = site.scope, site.place.address
        if scope.instance.key != scope.function.key or address != _low(scope.function):
            return False
        if self.function != scope.function.key:
            self.passed, self.function = {}, scope.function.key
        self.stored_at = prologue_end(site.debug, scope)
        variable = site.find(name)
        return variable is not None and variable.kind == "parameter" and variable.everywhere

    def stored(self, module: Module, pc: int, passed: Outcome, now: Outcome) -> None:
        """What our code found at the first instruction is what gdb finds where it has been stored."""
        for path, (_, mine) in passed.read.items():
            theirs = now.read.get(path, (mine, mine))[
                0
            ]  # what a reference that was not there yet refers to has no members
            if mine == theirs:
                self.report.values["number passed"] += 1
            elif mine not in (VECTOR, UNSURE):
                self.differ(module, pc, f"{path} as passed", shown(theirs), shown(mine))

    def differ(self, module: Module, pc: int, what: str, theirs: str, mine: str) -> None:
        where = f"{Path(module.path).name} {pc - module.bias:#x} {_name(self.gdb.newest_frame())}"
        self.report.differences.append({"where": where, "what": what, "gdb": theirs, "ours": mine})


def _location(site: TargetSite, name: str) -> bytes:
    variable = site.find(name)
    return b"" if variable is None else variable.location(site.place.address) or b""


def _levels(debug: Debug, address: int) -> list[Scope]:
    """The function at an address and the inlined ones in it, the outermost first."""
    function = debug.functions.at(address)
    found: list[Scope] = []
    innermost = debug.scope(address)
    assert function is not None and innermost is not None
    scope = debug.scope(address, function.offset)
    assert scope is not None
    found.append(scope)
    while found[-1].instance.key != innermost.instance.key:
        inner = _inlined_at(found[-1].chain[-1], address)
        if inner is None:
            break
        scope = debug.scope(address, inner.offset)
        assert scope is not None
        found.append(scope)
    return found


def _inlined_at(block: Entry, address: int) -> Entry | None:
    from probelang.dwarf.ranges import entry_ranges

    for child in block.children():
        if child.tag == c.TAG_inlined_subroutine and any(l <= address < h for l, h in entry_ranges(child)):
            return child
    return None


def _low(function: Entry) -> int | None:
    from probelang.target.frame import function_address

    return function_address(function)


def _same_function(theirs: debugger.Symbol | None, ours: Scope) -> bool:
    """gdb has the whole name of C++, with parameters; and the line of the call of what was inlined."""
    if theirs is None:
        return False
    own = ours.instance
    if own.tag == c.TAG_inlined_subroutine:
        lines = [own.number(c.AT_call_line)]
    else:
        lines = [line for e in origins(own) if (line := e.number(c.AT_decl_line))]
    return ours.name.partition("<")[0] in theirs.name and (not lines or theirs.line in lines)


def _name(frame: debugger.Frame) -> str:
    function = frame.function()
    return "" if function is None else function.name


def main() -> None:
    oracle = Oracle()
    ended = False
    try:
        oracle.run()
        ended = True
    finally:
        report = oracle.report
        data = {"ended": ended, "stops": report.stops, "pairs": len(report.pairs)}
        data |= {"values": report.values, "differences": report.differences}
        Path(os.environ["ORACLE_RESULT"]).write_text(json.dumps(data))


main()
