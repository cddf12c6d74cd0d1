"""How many stacks are right: of real programs without frame pointers, compared with gdb's at the same hit.

    python -m bench.unwinding [--most 3200] [--step 100] [--functions 10]

Each program does the same every time: addresses are not randomised, the input is fixed. Some of its functions are chosen by chance; the stacks of
their n-th hits, for every 100th n, are taken by gdb (at a breakpoint), by probelang (`ucallers(127)`), and by bpftrace (`ustack`). A stack is right
when all return addresses are gdb's. gdb runs twice: where it does not agree with itself the program did something else, and nothing is compared.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

HERE = Path(__file__).parent
PROBELANG = [sys.executable, "-m", "probelang.cli.main"]
FUNCTIONS, STEP, MOST = 10, 100, 3200
"""Of each program, so many functions; of the first MOST hits of each every STEPth is compared."""
CANDIDATES = 150
LONGEST_S = 900
SYMBOL = struct.Struct("<IBBHQQ")
"""Elf64_Sym: name, info, other, section, value, size."""

Stacks = dict[tuple[int, int], tuple[int, ...]]
"""By number of the function and of the hit: the return addresses, innermost first."""


@dataclass(frozen=True, slots=True)
class Subject:
    """`program`: a private copy. `environment`: all that it has; `wrapper`: what starts it instead, which sees to that; `stdin`: a file;
    `around`: what is to be done before each run."""

    name: str
    program: Path
    words: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict[str, str])
    wrapper: tuple[str, ...] = ()
    stdin: Path | None = None
    around: Callable[[], None] | None = None

    @property
    def starter(self) -> tuple[str, ...]:
        """The one program that starts it, with the same environment whoever asks: gdb counts how often something is executed."""
        settings = [f"{name}={value}" for name, value in self.environment.items()]
        return self.wrapper or ("env", "-i", "PATH=/usr/bin:/bin", *settings)

    def command(self, folder: Path) -> str:
        """As -c wants it: without randomised addresses, output thrown away. A shell would be a process too many."""
        start = folder / "start"
        words = " ".join([*self.starter, str(self.program), *self.words])
        start.write_text(f"#!/bin/sh\nexec setarch -R {words} <{self.stdin or '/dev/null'} >/dev/null 2>&1\n")
        start.chmod(0o755)
        return str(start)


@dataclass(frozen=True, slots=True)
class Share:
    """`hits`: of which a stack was taken; `cut`: of these, stacks that end too early by probelang's own account. `compared`, `right`: by
    tool; `frames`: of gdb's return addresses those that the tool has as well, and all; `unlike`: hits at which gdb does not agree with
    itself."""

    hits: int
    cut: int
    sampled: int
    unlike: int
    right: dict[str, int]
    compared: dict[str, int]
    frames: dict[str, tuple[int, int]]
    wrong: list[str]


class Missing(Exception):
    """What is not there, as a clause."""


# ---------------------------------------------------------------------------------------------------- subjects


def subjects(folder: Path) -> Iterator[Subject]:
    for make in (_python, _git, _throwing, _postgres):
        try:
            yield make(folder)
        except (Missing, OSError, subprocess.SubprocessError) as error:
            print(f"{make.__name__[1:]}: {error}", file=sys.stderr)


def _copy(name: str, folder: Path) -> Path:
    found = shutil.which(name, path="/usr/bin:/usr/lib/postgresql/15/bin:/usr/local/bin")
    if found is None:
        raise Missing("not installed")
    target = folder / "bin" / name
    target.parent.mkdir(exist_ok=True)
    shutil.copy(os.path.realpath(found), target)
    return target


PYTHON_WORK = """
import json, re, sys
from collections import OrderedDict, namedtuple
sys.setrecursionlimit(5000)
P = namedtuple("P", "a b")
def deep(n, f): return f() if n == 0 else deep(n - 1, f)
class D(dict):
    def __missing__(self, k): return re.sub("[a-m]", lambda m: m[0].upper(), k)
for i in range(60):
    data = {"k%d" % j: [j, str(j), {"x": None}] for j in range(i)}
    text = json.dumps(data, default=str, indent=i % 3)
    json.loads(text, object_hook=lambda d: OrderedDict(sorted(d.items(), key=lambda kv: str(kv))))
    deep(i, lambda: sorted([P(j * 7 % 11, j) for j in range(20)], key=lambda p: D()["abc%d" % p.a]))
    try:
        deep(30, lambda: {}["missing"])
    except KeyError as e:
        str(e)
"""


def _python(folder: Path) -> Subject:
    work = folder / "work.py"
    work.write_text(PYTHON_WORK)
    environment = {"PYTHONHASHSEED": "0", "PYTHONHOME": "/usr", "PYTHONDONTWRITEBYTECODE": "1"}
    return Subject("CPython 3.11 (Debian)", _copy("python3.11", folder), ("-s", str(work)), environment)


def _git(folder: Path) -> Subject:
    repository = folder / "repository"
    subprocess.run(["git", "clone", "-q", str(HERE.parent), str(repository)], check=True)
    words = ("-C", str(repository), "--no-pager", "log", "-p", "--stat", "-M", "-n", "40")
    return Subject(
        "git (Debian)", _copy("git", folder), words, {"HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    )


def _throwing(folder: Path) -> Subject:
    program = folder / "throwing"
    subprocess.run(
        ["g++", "-O2", "-fomit-frame-pointer", "-o", str(program), str(HERE / "throwing.cpp")], check=True
    )
    return Subject("C++ with exceptions (-O2)", program, ("3000",))


QUERIES = """
create table t (a int, b text, c numeric);
insert into t select i, repeat(md5(i::text), i % 5), i * 1.5 from generate_series(1, 3000) i;
create index on t (b);
analyze t;
select b, count(*), sum(c) from t where a % 7 > 2 group by b order by 2 desc, 1 limit 20;
select count(*) from t x join t y on x.a = y.a * 2 where x.b ~ '^[0-9a-f]*$';
create function f(n int) returns int language plpgsql as 'begin if n = 0 then return 0; end if; return f(n - 1) + 1; end';
select f(20 + a % 10) from t limit 100;
with recursive r(n) as (select 1 union all select n + 1 from r where n < 200) select sum(n) from r;
select json_agg(t) from t where a < 200;
"""


def _postgres(folder: Path) -> Subject:
    installed = Path("/usr/lib/postgresql/15")
    if not installed.exists():
        raise Missing("not installed")
    home = folder / "postgres"
    (home / "lib/postgresql/15").mkdir(parents=True)
    root = home / "lib/postgresql/15"
    (root / "bin").mkdir()
    for name in ("initdb", "postgres"):
        shutil.copy(installed / "bin" / name, root / "bin" / name)
    (root / "lib").symlink_to(installed / "lib")
    (home / "share").symlink_to("/usr/share")
    data = home / "data"
    drop = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    for place in (folder, home):
        place.chmod(0o777)
    queries = folder / "queries.sql"
    queries.write_text(QUERIES.replace("\n", " ").replace("; ", ";\n"))
    made = home / "fresh"
    subprocess.run(
        [*drop, str(root / "bin/initdb"), "-D", str(made), "-A", "trust", "-U", "p"],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip

    def restore() -> None:
        shutil.rmtree(data, ignore_errors=True)
        subprocess.run(["cp", "-a", str(made), str(data)], check=True)

    words = ("--single", "-D", str(data), "postgres")
    environment = {"LC_ALL": "C"}
    return Subject(
        "PostgreSQL 15 (Debian)", root / "bin/postgres", words, environment, drop, queries, restore
    )


# ---------------------------------------------------------------------------------------------- what is probed


def function_starts(program: Path) -> list[int]:
    """Addresses where unwind information says that a function begins."""
    text = _readelf("--debug-dump=frames", program)
    return sorted({int(found, 16) for found in re.findall(r"\bFDE .* pc=([0-9a-f]+)\.\.", text)})


def segments(program: Path) -> list[tuple[int, int, int]]:
    """File offset, address and size of what is loaded."""
    text = _readelf("-lW", program)
    found = re.findall(r"^\s+LOAD\s+0x(\w+) 0x(\w+) 0x\w+ 0x(\w+)", text, re.MULTILINE)
    return [(int(offset, 16), int(address, 16), int(size, 16)) for offset, address, size in found]


def _readelf(option: str, program: Path) -> str:
    return subprocess.run(
        ["readelf", option, str(program)], capture_output=True, text=True, check=True
    ).stdout


def offset_of(parts: Sequence[tuple[int, int, int]], address: int) -> int:
    return next(address - at + offset for offset, at, size in parts if at <= address < at + size)


def choose(subject: Subject, folder: Path, functions: int, most: int) -> list[int]:
    """Functions that are called often enough, by chance, spread over the program."""
    starts = function_starts(subject.program)
    random.Random(1).shuffle(starts)
    chosen: list[int] = []
    for first in range(0, min(len(starts), 30 * CANDIDATES), CANDIDATES):
        part = starts[first : first + CANDIDATES]
        points = ", ".join(f'process("{subject.program}").statement({address:#x})?' for address in part)
        script = (
            f"global n probe {points} {{ if (pid() == target()) n[pp()]++ }} "
            'probe end { foreach (p in n) printf("%d %s\\n", n[p], p) }'
        )
        text = _probelang(subject, folder, script)
        for count, address in re.findall(r"^(\d+) .*statement\((0x[0-9a-f]+)\)", text, re.MULTILINE):
            if int(count) >= most:
                chosen.append(int(address, 16))
        if len(chosen) >= functions:
            break
    return chosen[:functions]


# --------------------------------------------------------------------------------------------------- the tools


def _start(subject: Subject) -> dict[str, str]:
    """What is needed before a run; the environment of the tool."""
    if subject.around is not None:
        subject.around()
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8"}


def _probelang(subject: Subject, folder: Path, script: str, *options: str) -> str:
    path = folder / "script.probe"
    path.write_text(script)
    done = subprocess.run(
        [*PROBELANG, "run", "--suppress-handler-errors", *options, str(path), "-c", subject.command(folder)],
        capture_output=True, text=True, timeout=LONGEST_S, check=False,
        env={**os.environ, **_start(subject)},
    )  # fmt: skip
    if done.returncode:
        raise Missing(f"probelang: {done.stderr.strip()[-400:]}")
    return done.stdout + done.stderr


def by_probelang(
    subject: Subject, folder: Path, addresses: Sequence[int], step: int, most: int
) -> tuple[Stacks, int, int]:
    """And how many stacks were taken, and cut short."""
    points = ", ".join(f'process("{subject.program}").statement({address:#x})' for address in addresses)
    script = f"""
        global n, stacks
        probe {points} {{
            if (pid() == target() && (k = n[pp()]++) < {most}) {{
                stacks[ubacktrace()]++
                if (k % {step} == 0) printf("%s %d %s\\n", pp(), k, ucallers(127))
            }}
        }}
        probe end {{ foreach (s in stacks) total += stacks[s]; printf("total %d\\n", total) }}
    """
    text = _probelang(subject, folder, script, "-S", "4096", "-s", "64")
    number = {address: i for i, address in enumerate(addresses)}
    found: Stacks = {}
    for address, hit, stack in re.findall(r"^.*statement\((0x[0-9a-f]+)\) (\d+) (.*)$", text, re.MULTILINE):
        found[number[int(address, 16)], int(hit)] = tuple(int(word, 16) for word in stack.split())[1:]
    total = re.search(r"^total (\d+)", text, re.MULTILINE)
    cut = re.search(r"(\d+) stacks were cut", text)
    return found, int(total[1]) if total else 0, int(cut[1]) if cut else 0


def by_gdb(subject: Subject, folder: Path, addresses: Sequence[int], step: int, most: int) -> Stacks:
    parts = segments(subject.program)
    config, output = folder / "gdb.json", folder / "gdb.out"
    settings = {
        "program": str(subject.program),
        "offsets": [offset_of(parts, address) for address in addresses],
        "step": step, "most": most, "output": str(output),
    }  # fmt: skip
    config.write_text(json.dumps(settings))
    starter = f"set exec-wrapper {' '.join(subject.starter)}"
    stdin = subject.stdin or Path("/dev/null")
    words = " ".join(subject.words)
    command = [
        "gdb", "-nx", "-q", "-batch", "-ex", starter,
        "-ex", f"set args {words} <{stdin} >/dev/null 2>&1", "-x", str(HERE / "unwinding_gdb.py"), str(subject.program),
    ]  # fmt: skip
    output.unlink(missing_ok=True)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LONGEST_S, check=False,
        env={**_start(subject), "PROBELANG_UNWINDING": str(config)},
    )  # fmt: skip
    if not output.exists():
        raise Missing(f"gdb: {done.stderr.strip()[-400:]}")
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    return {(number, hit): tuple(stack[1:]) for number, hit, stack in rows}


def by_bpftrace(
    subject: Subject, folder: Path, addresses: Sequence[int], step: int, most: int
) -> Stacks | None:
    bpftrace = shutil.which("bpftrace")
    if bpftrace is None:
        return None
    named = with_symbols(subject, addresses)
    probes = [
        f"uprobe:{named.program}:probed_{i} /pid == cpid/ {{"
        f" if (@n[{i}] % {step} == 0 && @n[{i}] < {most})"
        f' {{ printf("hit {i} %d\\n%s\\nend\\n", @n[{i}], ustack(perf, 127)); }} @n[{i}]++; }}'
        for i in range(len(addresses))
    ]
    done = subprocess.run(
        [bpftrace, "-e", "\n".join([*probes, "END { clear(@n); }"]), "-c", f"/bin/sh {named.command(folder)}"],
        capture_output=True, text=True, errors="replace", timeout=LONGEST_S, check=False,
        env={**os.environ, **_start(named), "BPFTRACE_PERF_RB_PAGES": "4096"},
    )  # fmt: skip
    found: Stacks = {}
    for number, hit, stack in re.findall(
        r"^hit (\d+) (\d+)\n(.*?)^end$", done.stdout, re.MULTILINE | re.DOTALL
    ):
        words = [line.split() for line in stack.splitlines() if line.strip()]
        found[int(number), int(hit)] = tuple(int(word[0], 16) for word in words)[1:]
    if not found:
        print(f"bpftrace: {(done.stderr or done.stdout).strip()[-400:]}", file=sys.stderr)
    return found or None


def with_symbols(subject: Subject, addresses: Sequence[int]) -> Subject:
    """The same program with names for what is probed: bpftrace sets probes on names alone where the kernel has no tracefs."""
    target = subject.program.with_name(f"{subject.program.name}.named")
    start, _, _ = _section(subject.program, ".text")
    names = [
        f"--add-symbol=probed_{i}=.text:{address - start:#x},function,global"
        for i, address in enumerate(addresses)
    ]
    subprocess.run(["objcopy", *names, str(subject.program), str(target)], check=True)
    _, table, size = _section(target, ".symtab")
    data = bytearray(target.read_bytes())
    for at in range(table, table + size, SYMBOL.size):
        *head, address, length = SYMBOL.unpack_from(data, at)
        if address in addresses and not length:
            SYMBOL.pack_into(data, at, *head, address, 1)  # bpftrace takes nothing without a size
    target.write_bytes(data)
    return replace(subject, program=target)


def _section(program: Path, name: str) -> tuple[int, int, int]:
    """Address, file offset and size."""
    found = re.search(rf"\s{re.escape(name)}\s+\w+\s+(\w+) (\w+) (\w+)", _readelf("-SW", program))
    if found is None:
        raise Missing(f"the program has no {name}")
    return int(found[1], 16), int(found[2], 16), int(found[3], 16)


# -------------------------------------------------------------------------------------------------- comparison


def compare(subject: Subject, folder: Path, functions: int, step: int, most: int) -> Share:
    addresses = choose(subject, folder, functions, most)
    if not addresses:
        raise Missing("no function is called often enough")
    first, again = (by_gdb(subject, folder, addresses, step, most) for _ in range(2))
    own, hits, cut = by_probelang(subject, folder, addresses, step, most)
    tools: dict[str, Stacks] = {"probelang": own}
    other = by_bpftrace(subject, folder, addresses, step, most)
    if other is not None:
        tools["bpftrace"] = other
    alike = {key: stack for key, stack in first.items() if again.get(key) == stack}
    right: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    found: Counter[str] = Counter()
    frames: Counter[str] = Counter()
    wrong: list[str] = []
    for tool, stacks in tools.items():
        for key, stack in alike.items():
            if key in stacks:
                compared[tool] += 1
                frames[tool] += len(stack)
                found[tool] += (Counter(stack) & Counter(stacks[key])).total()
                right[tool] += stacks[key] == stack
                if tool == "probelang" and stacks[key] != stack:
                    wrong.append(_difference(addresses[key[0]], key[1], stacks[key], stack))
    unlike = len(first) - len(alike)
    shares = {tool: (found[tool], frames[tool]) for tool in tools}
    return Share(hits, cut, len(first), unlike, dict(right), dict(compared), shares, wrong)


def _difference(address: int, hit: int, own: tuple[int, ...], other: tuple[int, ...]) -> str:
    same = next(
        (i for i, (a, b) in enumerate(zip(own, other, strict=False)) if a != b), min(len(own), len(other))
    )

    def near(stack: tuple[int, ...]) -> str:
        shown = " ".join(f"{a:#x}" for a in stack[max(0, same - 1) : same + 2])
        return f"{shown} of {len(stack)}"

    return f"{address:#x}, hit {hit}, frame {same + 1}: {near(own)}; gdb: {near(other)}"


def report(shares: dict[str, Share]) -> list[str]:
    """Lines of results.md."""

    def share(found: Share, tool: str) -> str:
        compared, right = found.compared.get(tool, 0), found.right.get(tool, 0)
        return f"{100 * right / compared:.1f} % ({right:,} of {compared:,})" if compared else "-"

    def frames(s: Share, tool: str) -> str:
        found, all_frames = s.frames.get(tool, (0, 0))
        return f"{100 * found / all_frames:.1f} %" if all_frames else "-"

    lines = [
        "",
        "## Right stacks",
        "",
        "Stacks of chosen functions, up to 127 frames, compared with gdb's at the same hit of the same run (`python -m bench.unwinding`).",
        "",
        "| program | stacks taken | cut short | sampled | gdb unlike itself | probelang right | bpftrace ustack right | frames that bpftrace has |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, s in shares.items():
        lines.append(
            f"| {name} | {s.hits:,} | {s.cut:,} | {s.sampled:,} | {s.unlike:,}"
            f" | {share(s, 'probelang')} | {share(s, 'bpftrace')} | {frames(s, 'bpftrace')} |"
        )
    return lines


def measure(
    folder: Path, functions: int = FUNCTIONS, step: int = STEP, most: int = MOST, only: str = ""
) -> dict[str, Share]:
    shares: dict[str, Share] = {}
    for subject in subjects(folder):
        if only in subject.name:
            try:
                shares[subject.name] = found = compare(subject, folder, functions, step, most)
                print("\n".join([f"{subject.name}: {found}"[:3000], *found.wrong[:20]]), file=sys.stderr)
            except (Missing, subprocess.TimeoutExpired) as error:
                print(f"{subject.name}: {error}", file=sys.stderr)
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--functions", type=int, default=FUNCTIONS)
    parser.add_argument("--step", type=int, default=STEP)
    parser.add_argument("--most", type=int, default=MOST)
    parser.add_argument("--only", default="", help="programs whose name contains this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="probelang-unwinding-") as name:
        shares = measure(Path(name), options.functions, options.step, options.most, options.only)
    print("\n".join(report(shares)))


if __name__ == "__main__":
    main()
