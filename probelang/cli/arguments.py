"""The command line as data: which options each command takes, and what was given.

    run -c './a.out 5' x.probe 10 --threshold 3
    -> Given(values={"-c": ("./a.out 5",)}, words=("x.probe", "10", "--threshold", "3"))

Options may stand before or behind the script, as SystemTap's users write them; what is no option of ours and
stands behind the script belongs to the script, and so does everything behind `--`. That is why argparse is not used: it
cannot pass on options that it does not know. Values are checked where they are used, not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class UsageError(Exception):
    """The command line makes no sense: message and exit status 2."""


@dataclass(frozen=True, slots=True)
class Option:
    """`names`: first the one under which its value is found. `value`: what stands for its value in the help; empty for a
    switch. `doc`: one line of help, empty for what is accepted only because SystemTap has it."""

    names: tuple[str, ...]
    value: str = ""
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """One subcommand. `script`: its words are a script and that script's arguments."""

    name: str
    usage: str
    summary: str
    options: tuple[Option, ...]
    examples: tuple[tuple[str, str], ...] = ()
    script: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """What stood on the command line: switches have the value `""`."""

    command: Command
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    words: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        return name in self.values

    def last(self, name: str) -> str | None:
        """The value given last, None where the option was not given."""
        return self.values[name][-1] if name in self.values else None

    def all(self, name: str) -> tuple[str, ...]:
        return self.values.get(name, ())


def parse_command(command: Command, arguments: Sequence[str]) -> Given:
    """Splits the words of a command line into options and the rest; raises UsageError."""
    known = {name: option for option in command.options for name in option.names}
    values: dict[str, tuple[str, ...]] = {}
    words: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        taken = _split_option(word, known)
        if not taken:
            if _looks_like_option(word) and not words and not values.get("-e"):
                raise UsageError(f"unknown option `{word}`{_near_option(word, known)}")
            words.append(word)
        for name, value in taken:
            option = known[name]
            if value is None:
                if not rest:
                    raise UsageError(f"option `{name}` needs a value: `{name} {option.value}`")
                value = rest.pop(0)
            values[option.names[0]] = (*values.get(option.names[0], ()), value)
    return Given(command, values, tuple(words))


def _looks_like_option(word: str) -> bool:
    return len(word) > 1 and word[0] == "-" and not word[1].isdigit()


def _split_option(word: str, known: Mapping[str, Option]) -> list[tuple[str, str | None]]:
    """The options in one word (`-c`, `-T5`, `-vw`, `--format=json`), None for a value that must follow; [] if it is none."""
    name, equals, value = word.partition("=")
    if word.startswith("--"):
        if name not in known:
            return []
        if not known[name].value:
            return [] if equals else [(name, "")]
        return [(name, value if equals else None)]
    if not _looks_like_option(word):
        return []
    found: list[tuple[str, str | None]] = []
    letters = word[1:]
    while letters:
        short, letters = f"-{letters[0]}", letters[1:]
        if short not in known:
            return []
        if known[short].value:
            return [*found, (short, letters or None)]
        found.append((short, ""))
    return found


def _near_option(word: str, known: Mapping[str, Option]) -> str:
    from probelang.diag import did_you_mean, similar_names

    hint = did_you_mean(similar_names(word.partition("=")[0], [n for n in known if n.startswith("--")], 1))
    return f", {hint}" if hint and word.startswith("--") else ""


def help_text(command: Command) -> str:
    """What `probelang COMMAND --help` prints."""
    lines = [f"usage: {command.usage}", "", command.summary, "", "options:"]
    for option in command.options:
        if option.doc:
            names = ", ".join(option.names)
            head = f"  {names} {option.value}".rstrip()
            lines += [f"{head:<28} {option.doc}"] if len(head) < 28 else [head, f"{'':<28} {option.doc}"]
    quiet = [option.names[0] for option in command.options if not option.doc]
    if quiet:
        lines += ["", f"accepted for SystemTap's sake, without effect: {' '.join(quiet)}"]
    if command.examples:
        lines += ["", "examples:"]
        for what, words in command.examples:
            lines += [f"  # {what}", f"  {words}"]
    return "\n".join([*lines, *command.notes]) + "\n"
