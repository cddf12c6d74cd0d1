"""The process in which the kernel half runs."""

from __future__ import annotations

import pytest

from tests.agreement.firing import build
from tests.agreement.halves import Target


@pytest.fixture(scope="session")
def firing(tmp_path_factory: pytest.TempPathFactory) -> Target:
    return build(tmp_path_factory.mktemp("firing"))
