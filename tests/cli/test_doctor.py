"""The report on machine and user."""

from __future__ import annotations

import json

from tests.conftest import Run


def test_the_report_names_privileges_features_and_packages(probelang: Run) -> None:
    result = probelang("doctor")
    for word in ("privileges", "kernel types", "uprobe_multi", "sleepable", "llvmlite", "Linux "):
        assert word in result.stdout
    assert ("scripts can run here" in result.stdout) == (result.status == 0)


def test_what_is_missing_comes_with_advice(probelang: Run) -> None:
    result = probelang("doctor", "--format", "json")
    report = json.loads(result.stdout)
    assert report["healthy"] == (result.status == 0)
    assert all(f["advice"] for f in report["findings"] if f["state"] != "ok")
