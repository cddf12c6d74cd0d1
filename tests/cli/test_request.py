"""What options mean: limits, overrides, the script's source and arguments."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from probelang.cli.arguments import UsageError, parse_command
from probelang.cli.commands import COMMANDS
from probelang.cli.request import command_words, read_options, read_script
from probelang.diag import CompileError
from probelang.options import Options
from probelang.source import encode_text


def options(*words: str) -> Options:
    return read_options(parse_command(COMMANDS["run"], words), (), frozenset({"cookie", "uprobe_multi"}))


def codes(error: CompileError) -> list[str]:
    return [d.code for d in error.diagnostics]


def test_limits_by_their_systemtap_names() -> None:
    limits = options(
        "-D",
        "MAXACTION=50",
        "-DMAXNESTING=4",
        "-D",
        "MAXSTRINGLEN=64",
        "-D",
        "MAXMAPENTRIES=9",
        "-D",
        "MAXERRORS=2",
    ).limits
    assert (limits.actions, limits.user_actions, limits.nesting) == (50, 500, 4)
    assert (limits.string_size, limits.map_entries, limits.errors) == (64, 9, 2)


def test_string_size() -> None:
    assert options("-S", "512").limits.string_size == 512


@pytest.mark.parametrize(
    "words",
    [("-S", "4"), ("-S", "x"), ("-D", "MAXNESTING=0"), ("-D", "1x=2"), ("-G", "x"), ("-G", "a b=1"), ("-x", "me"),
     ("--without", "magic"), ("-c", ""), ("-c", "'a")],
)  # fmt: skip
def test_values_that_make_no_sense_are_usage_errors(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        options(*words)


def test_overrides_keep_everything_behind_the_sign() -> None:
    assert options("-G", "a=b=c", "-G", "n=").overrides == (("a", "b=c"), ("n", ""))


def test_other_defines_are_passed_on() -> None:
    assert options("-D", "STP_NO_OVERLOAD").defines == (("STP_NO_OVERLOAD", "1"),)


def test_without_takes_features_away() -> None:
    assert options("--without", "cookie").features == {"uprobe_multi"}
    assert options("--without", "cookie,uprobe_multi").features == frozenset()


def test_the_command_is_found_in_path() -> None:
    assert options("-c", "sh -c 'echo a b'").command == os.path.realpath("/bin/sh")
    assert command_words("sh -c 'echo a b'") == ["sh", "-c", "echo a b"]


def test_a_command_or_process_that_is_not_there_is_the_targets_mistake() -> None:
    with pytest.raises(CompileError) as no_command:
        options("-c", "no-such-program-here 1")
    assert codes(no_command.value) == ["E0490"]
    with pytest.raises(CompileError) as no_process:
        options("-x", "4194303")
    assert codes(no_process.value) == ["E0407"]


def test_the_script_from_a_file_keeps_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.probe"
    path.write_bytes(b'probe begin { print("\xff\xc3\xa4") }')
    source, arguments = read_script(parse_command(COMMANDS["run"], [str(path), "1", "-2"]))
    assert encode_text(source.text) == path.read_bytes()
    assert source.name == str(path) and arguments == ("1", "-2")


def test_the_script_from_the_command_line_leaves_all_words_as_arguments() -> None:
    source, arguments = read_script(parse_command(COMMANDS["run"], ["-e", "probe never {}", "a", "b"]))
    assert source.name == "<command line>" and arguments == ("a", "b")


def test_scripts_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "prog"
    binary.write_bytes(b"\x7fELF\0\0")
    for path, code in ((tmp_path, "E0190"), (tmp_path / "none", "E0190"), (binary, "E0191")):
        with pytest.raises(CompileError) as caught:
            read_script(parse_command(COMMANDS["check"], [str(path)]))
        assert codes(caught.value) == [code]


def test_no_script_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="which script"):
        read_script(parse_command(COMMANDS["run"], []))
