"""The command from outside: exit statuses, help, messages, and that nothing ever shows a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import probelang as package
from tests.conftest import Run

ROOT = Path(__file__).parent.parent.parent


def test_version(probelang: Run) -> None:
    assert probelang("--version").stdout == f"probelang {package.__version__}\n"


def test_help_has_examples_and_exit_statuses(probelang: Run) -> None:
    result = probelang("--help")
    assert result.status == 0
    for word in ("examples:", "run", "check", "build", "list", "doctor", "exit status"):
        assert word in result.stdout


@pytest.mark.parametrize("command", ["run", "check", "build", "list", "doctor"])
def test_help_of_each_command(probelang: Run, command: str) -> None:
    result = probelang(command, "--help")
    assert result.status == 0 and f"probelang {command}" in result.stdout.replace("[run]", "run")


def test_nothing_at_all_is_wrong_usage(probelang: Run) -> None:
    assert probelang().status == 2


@pytest.mark.parametrize(
    "words",
    [
        ("run",),
        ("check", "--stage", "kitchen", "-e", ""),
        ("run", "--format", "xml", "-e", ""),
        ("check", "--nonsense", "x.probe"),
        ("check", "--emit", "tea", "-e", "probe begin {}"),
        ("run", "-p", "9", "-e", "probe begin {}"),
        ("run", "-e"),
        ("doctor", "me"),
    ],
)
def test_wrong_usage_is_status_2_and_one_line(probelang: Run, words: tuple[str, ...]) -> None:
    result = probelang(*words)
    assert result.status == 2, result.stderr
    first, *rest = result.stderr.splitlines()
    assert first.startswith("probelang: ") and rest == ["try `probelang --help`"]


def test_a_good_script_passes_in_silence(probelang: Run) -> None:
    result = probelang("check", "--stage", "syntax", "-e", "probe begin { println(1) }")
    assert (result.status, result.stdout, result.stderr) == (0, "", "")


def test_all_mistakes_of_a_script_are_shown(probelang: Run) -> None:
    result = probelang("check", "--stage", "syntax", "-", stdin="probe begin { x = }\nprobe end { y = * }\n")
    assert result.status == 1
    assert result.stderr.count("error[E0101]") == 2
    assert "--> <standard input>:1:19" in result.stderr and "--> <standard input>:2:17" in result.stderr


def test_json_messages_are_lines_on_standard_output(probelang: Run) -> None:
    result = probelang("check", "--stage", "syntax", "--format", "json", "-e", "probe begin { x = }")
    (message,) = map(json.loads, result.stdout.splitlines())
    assert result.status == 1 and result.stderr == ""
    assert message["code"] == "E0101" and message["span"]["column"] == 19


def test_warnings_are_shown_unless_unwanted_and_can_be_errors(probelang: Run) -> None:
    words = ("check", "--stage", "syntax", "-e", "probe begin {}", "unused")
    assert "warning[" in probelang(*words).stderr and probelang(*words).status == 0
    assert probelang(*words, "-w").stderr == ""
    assert probelang(*words, "-W").status == 1


def test_systemtaps_passes(probelang: Run) -> None:
    assert probelang("-p1", "-e", "probe begin { no_such_function() }").status == 0
    assert probelang("-p1", "-e", "probe begin {").status == 1


def test_emit_shows_a_stage_and_stops(probelang: Run) -> None:
    tokens = probelang("check", "--emit", "tokens", "-e", "probe begin { no_such_function() }")
    tree = probelang("check", "--emit", "syntax", "-e", "probe begin { no_such_function() }")
    assert "no_such_function" in tokens.stdout and tokens.status == 0
    assert "Call" in tree.stdout and tree.status == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("check", "no-such-file.probe"), "E0190"),
        (("check", sys.executable), "E0191"),
        (("check", "-c", "no-such-program-here", "-e", "probe begin {}"), "E0490"),
        (("check", "-x", "4194303", "-e", "probe begin {}"), "E0407"),
    ],
)
def test_what_is_not_there_has_its_own_message(probelang: Run, words: tuple[str, ...], code: str) -> None:
    result = probelang(*words)
    assert result.status == 1
    assert result.stderr.startswith(f"error[{code}]")


def test_a_bug_is_one_line_and_status_70() -> None:
    code = (
        "import probelang.parse, probelang.cli.main as m\n"
        "def broken(*_): raise KeyError('x')\n"
        "probelang.parse.parse = broken\n"
        "raise SystemExit(m.main(['check', '-e', 'probe begin {}']))"
    )
    words = [sys.executable, "-c", code]
    result = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 70
    assert "internal error at <string>:2 in parse, please report" in result.stderr
    assert "Traceback" not in result.stderr
    debugging = {**os.environ, "PROBELANG_DEBUG": "1"}
    result = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=debugging, check=False)
    assert "Traceback" in result.stderr


def test_a_closed_pipe_is_no_error_worth_a_word() -> None:
    command = f"{sys.executable} -m probelang check --emit tokens -e 'probe begin {{}}' | true"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.stderr == ""


@pytest.mark.parametrize(
    "text", ["probe begin { x = " + "(" * 5000, "probe begin { x = " + "1 + " * 3000 + "1 }"]
)
def test_monstrous_nesting_is_a_message(probelang: Run, text: str) -> None:
    result = probelang("check", "--stage", "types", "-", stdin=text)
    assert result.status == 1
    assert "Traceback" not in result.stderr and "internal error" not in result.stderr
