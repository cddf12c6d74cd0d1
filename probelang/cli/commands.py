"""The commands of probelang and their options: the one table that parsing and `--help` read."""

from __future__ import annotations

from probelang.cli.arguments import Command, Option

HELP = Option(("--help", "-h"), "", "show this help")

COMPILE = (
    Option(("-e",), "SCRIPT", "the script itself instead of a file"),
    Option(("-I",), "DIR", "search libraries in DIR first (may be repeated)"),
    Option(("-G",), "NAME=VALUE", "start the global variable NAME with VALUE"),
    Option(("-D",), "NAME=N", "set a limit: MAXACTION MAXNESTING MAXSTRINGLEN MAXMAPENTRIES MAXERRORS"),
    Option(("-S",), "BYTES", "size of a string, with its final NUL (default 256)"),
    Option(("-c",), "COMMAND", "run COMMAND and probe only it and its children"),
    Option(("-x",), "PID", "probe only process PID and its children"),
    Option(
        ("--backend",),
        "kernel|ptrace|auto",
        "probe with BPF (root), with ptrace (any user, needs -c or -x), or as allowed (default auto)",
    ),
    Option(("-g",), "", "let the script change the variables of the probed program"),
    Option(("-u",), "", "keep unused variables and functions"),
    Option(("-w",), "", "no warnings"),
    Option(("-W",), "", "warnings are errors"),
    Option(("-v",), "", "say what is being done, and how long it takes"),
    Option(("--skip-badvars",), "", "target variables that cannot be found read as 0"),
    Option(("--suppress-handler-errors",), "", "go on after run-time errors, however many"),
    Option(("--without",), "FEATURE", "do as if the kernel lacked FEATURE (`probelang doctor` lists them)"),
    Option(
        ("--emit",),
        "STAGE",
        "show tokens, syntax, resolved, typed, layout, llvm, asm or manifest; stop there",
    ),
    Option(("--format",), "text|json", "form of output and messages (default text)"),
    Option(("-s",), "MEGABYTES", "size of the buffer between kernel and user space"),
    Option(("-d",), "FILE"),
    Option(("--ldd",)),
    Option(("--compatible",), "VERSION"),
    HELP,
)

RUN = Command(
    "run",
    "probelang [run] [OPTIONS] FILE|OBJECT.bpf.o|-|-e SCRIPT [ARGUMENTS]",
    "Compile a script and run it until exit(), ^C, -T or the end of the -c command.",
    (
        Option(("-o",), "FILE", "write the script's output to FILE"),
        Option(("-T",), "SECONDS", "end after so many seconds"),
        Option(("--pass-status",), "", "exit with the status of the -c command"),
        Option(
            ("--flame",), "FILE", "draw the arrays that are keyed by stacks as a flame graph (SVG) at the end"
        ),
        Option(
            ("--folded",), "FILE", "write them as folded stacks, a line each, as flamegraph.pl reads them"
        ),
        Option(("--pprof",), "FILE", "write them as a profile for `go tool pprof`"),
        Option(("--stacks-of",), "ARRAY", "of these arrays only ARRAY (may be repeated; default: all)"),
        Option(("--weight",), "count|sum", "of aggregates their counts or their sums (default count)"),
        Option(("-l",), "POINT", "list the places that POINT means, run nothing"),
        Option(("-L",), "POINT", "the same, with what can be read there"),
        Option(("-p",), "N", "stop after pass N: 1 syntax, 2 types, 3 and 4 code, 5 run"),
        *COMPILE,
    ),
    (
        ("what a script sees of a command", "probelang run -c './server --once' trace.probe"),
        (
            "how often each function of a program is called, most called first",
            """probelang -c ./prog -e 'global n; probe process.function("*") { n[ppfunc()]++ }'""",
        ),
        ("sizes asked from malloc by process 4711, for ten seconds", "probelang sizes.probe -x 4711 -T 10"),
        (
            "the call paths to a function of process 4711 as a flame graph, for ten seconds",
            """probelang -x 4711 -T 10 --flame f.svg -e 'global s; probe process.function("f") { s[ubacktrace()]++ }'""",
        ),
        ("a saved program, on a machine without a compiler", "probelang run sizes.bpf.o"),
    ),
)

CHECK = Command(
    "check",
    "probelang check [--stage syntax|types] [OPTIONS] FILE|-|-e SCRIPT [ARGUMENTS]",
    "Say everything that is wrong with a script, without running it or asking the kernel.",
    (Option(("--stage",), "STAGE", "stop after `syntax` or `types` (default: all, to the object)"), *COMPILE),
    (
        ("is it well formed?", "probelang check --stage syntax x.probe"),
        ("for an editor: one JSON object a message", "probelang check --format json x.probe"),
    ),
)

BUILD = Command(
    "build",
    "probelang build [-o OBJECT.bpf.o] [OPTIONS] FILE|-|-e SCRIPT [ARGUMENTS]",
    "Compile a script to a BPF object that `probelang run` (and bpftool) loads without any compiler.",
    (Option(("-o",), "FILE", "the object's name (default: the script's, with .bpf.o)"), *COMPILE),
    (("build here, run there", "probelang build -o slow.bpf.o slow.probe && probelang run slow.bpf.o"),),
)

LIST = Command(
    "list",
    "probelang list [-l|-L] [OPTIONS] POINT",
    "List the places that a probe point means.",
    (
        Option(("-l",), "", "one place a line (the default)"),
        Option(("-L",), "", "with the variables that are there, their types, and why some cannot be read"),
        Option(("--quote",), "", "each place quoted for the shell"),
        Option(("--format",), "text|json", "form of output and messages (default text)"),
        Option(("-I",), "DIR", "search libraries in DIR first"),
        Option(("-c",), "COMMAND", "what `process` without argument means"),
        Option(("-x",), "PID", "the process whose files `process` means"),
        Option(("-w",), "", "no warnings"),
        Option(("-v",), "", "say what is being done"),
        HELP,
    ),
    (
        (
            "which functions of a program can be probed",
            'probelang list \'process("/bin/bash").function("*")\'',
        ),
        (
            "the lines of a source file that have code",
            """probelang list 'process("./prog").statement("*@prog.c:*")'""",
        ),
        ("what can be read in a function", """probelang list -L 'process("./prog").function("work")'"""),
    ),
    script=False,
)

DOCTOR = Command(
    "doctor",
    "probelang doctor [--format text|json]",
    "Say what this machine and user can do, and how to get what is missing.",
    (Option(("--format",), "text|json", "form of the report (default text)"), HELP),
    script=False,
)

COMMANDS: dict[str, Command] = {c.name: c for c in (RUN, CHECK, BUILD, LIST, DOCTOR)}


def overview() -> str:
    """What `probelang --help` prints."""
    lines = [
        "usage: probelang FILE [ARGUMENTS]        run a script",
        "       probelang COMMAND [OPTIONS] ...",
        "",
        "A probe language for live user-space programs, compiled to eBPF.",
        "",
        "commands:",
        *(f"  {c.name:<8} {c.summary}" for c in COMMANDS.values()),
        "",
        "  --version  show the version",
        "  --help     show this help; `probelang COMMAND --help` shows a command's options",
        "",
        "examples:",
        *(line for what, words in RUN.examples for line in (f"  # {what}", f"  {words}")),
        "",
        "exit status: 0 done, 1 the script or its target is wrong, 2 the command line is wrong,",
        "             3 this machine or user cannot run it, 70 a bug of probelang",
    ]
    return "\n".join(lines) + "\n"
