"""Interleaved rounds: every tool in every round, so that a change of the machine hits all of them."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path


def run_under(command: Sequence[str], output: Path, result: Path) -> float:
    """Runs a tracer whose -c command is the target; nanoseconds per hit."""
    result.unlink(missing_ok=True)
    with output.open("wb") as stream:
        subprocess.run(command, stdout=stream, stderr=subprocess.DEVNULL, check=False, timeout=300)
    if not result.exists():
        raise SystemExit(f"no result of {' '.join(command)}")
    return float(result.read_text())


def interleave(rounds: int, jobs: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Median of each job over `rounds` rounds in which every job runs once."""
    samples: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            samples[name].append(job())
    return {name: statistics.median(values) for name, values in samples.items()}
