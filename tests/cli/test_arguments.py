"""Splitting a command line into options of ours and words of the script."""

from __future__ import annotations

import pytest

from probelang.cli.arguments import Command, Given, Option, UsageError, help_text, parse_command
from probelang.cli.commands import COMMANDS

COMMAND = Command(
    "go",
    "probelang go",
    "Goes.",
    (
        Option(("-c",), "COMMAND", "runs it"),
        Option(("-v", "--verbose"), "", "talks"),
        Option(("--form",), "F", "form"),
    ),
)


def parse(*words: str) -> Given:
    return parse_command(COMMAND, words)


def test_options_before_and_behind_the_script() -> None:
    given = parse("-v", "x.probe", "-c", "ls -l", "a")
    assert given.has("-v") and given.last("-c") == "ls -l"
    assert given.words == ("x.probe", "a")


def test_what_is_no_option_behind_the_script_is_the_scripts() -> None:
    assert parse("x.probe", "--threshold", "5", "-5", "-q").words == (
        "x.probe",
        "--threshold",
        "5",
        "-5",
        "-q",
    )


def test_all_behind_two_dashes_is_the_scripts() -> None:
    given = parse("x.probe", "--", "-v", "-c")
    assert not given.has("-v") and given.words == ("x.probe", "-v", "-c")


def test_an_unknown_option_before_the_script_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown option `--verbos`, did you mean `--verbose`"):
        parse("--verbos", "x.probe")


@pytest.mark.parametrize("words", [("-cls",), ("-c", "ls"), ("-vcls",)])
def test_values_may_be_glued_and_switches_joined(words: tuple[str, ...]) -> None:
    assert parse(*words).last("-c") == "ls"


def test_long_options_take_their_value_behind_a_sign_or_as_the_next_word() -> None:
    assert parse("--form=json").last("--form") == parse("--form", "json").last("--form") == "json"


def test_repeated_options_keep_all_values() -> None:
    given = parse("-c", "a", "-c", "b")
    assert given.all("-c") == ("a", "b") and given.last("-c") == "b" and given.all("--form") == ()


def test_a_missing_value_is_told() -> None:
    with pytest.raises(UsageError, match="option `-c` needs a value: `-c COMMAND`"):
        parse("x.probe", "-c")


def test_a_single_dash_is_a_word() -> None:
    assert parse("-").words == ("-",)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_every_option(name: str) -> None:
    text = help_text(COMMANDS[name])
    for option in COMMANDS[name].options:
        for word in option.names:
            assert word in text
    assert max(len(line) for line in text.splitlines()) < 130
