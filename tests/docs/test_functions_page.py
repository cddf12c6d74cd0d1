"""docs/functions.md is what its generator makes, and every function has a line that says what it does."""

from __future__ import annotations

import re

from tests.docs.functions_page import PAGE, make_page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == make_page(), "run `make docs`"


def test_every_function_is_described() -> None:
    assert not re.findall(r"^\| `[^`]+` \| *\|$", make_page(), re.MULTILINE)
