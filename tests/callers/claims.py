"""Programs that count for themselves, and what scripts must find: reading the claims in their sources.

    /* ...
     *@ probe process("{program}").function("callee")
     *@ caller is function("alpha")                  = alpha
     *@ [-g] within function("outer") || 1           = all - spared

is one point and two claims: of the hits of the point those for which the predicate holds are as many as the program counted itself,
under these names. `[-g]`: only where the program is built so; `[!c++]`: only where it is not. `{line here}` is the line that has
the comment `// @here`. Each claim is asked twice in one script, as an `if` in one handler and as the `when` of a probe of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_CLAIM = re.compile(r"^ ?\*@ +(?:\[(?P<traits>[^\]]+)\] )?(?P<text>.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Claim:
    """`total`: names of counters, added and taken away: "all - alpha"."""

    point: str
    predicate: str
    total: str

    def expected(self, counted: Mapping[str, int]) -> int:
        words = self.total.split()
        signs = ["+", *words[1::2]]
        return sum(
            (1 if sign == "+" else -1) * (int(name) if name.isdigit() else counted[name])
            for sign, name in zip(signs, words[::2], strict=True)
        )


def read_claims(source: Path, traits: Iterable[str], values: Mapping[str, str]) -> list[Claim]:
    """Those that hold for a program with these traits. `values`: what stands for `{program}` and the like."""
    text = source.read_text()
    lines = {f"line {m[1]}": str(text.count("\n", 0, m.start()) + 1) for m in re.finditer(r"// @(\w+)", text)}
    point, claims = "", list[Claim]()
    for match in _CLAIM.finditer(text):
        written = _fill(match["text"], {**lines, **values})
        if written.startswith("probe "):
            point = written.removeprefix("probe ")
        elif _hold(match["traits"] or "", frozenset(traits)):
            predicate, _, total = written.rpartition(" = ")
            claims.append(Claim(point, predicate.strip(), total.strip()))
    return claims


def _hold(wanted: str, traits: frozenset[str]) -> bool:
    return all((word.removeprefix("!") in traits) != word.startswith("!") for word in wanted.split())


def _fill(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


def script(claims: list[Claim]) -> str:
    """Prints `NUMBER IF WHEN` for each claim: hits for which it held, in either form."""
    numbered = list(enumerate(claims))
    lines = [f"global if_{n}, when_{n}" for n, _ in numbered]
    for point in dict.fromkeys(claim.point for claim in claims):
        here = [(n, claim.predicate) for n, claim in numbered if claim.point == point]
        lines += [f"probe {point} {{", *(f"  if ({text}) if_{n}++" for n, text in here), "}"]
        lines += [f"probe {point} when ({text}) {{ when_{n}++ }}" for n, text in here]
    lines += ["probe end {", *(f'  println({n}, " ", if_{n}, " ", when_{n})' for n, _ in numbered), "}"]
    return "\n".join(lines) + "\n"


def counted(output: str) -> Counter[str]:
    """The sum of what all processes said, by name."""
    found = Counter[str]()
    for name, number in re.findall(r"^(\w+)=(\d+)$", output, re.MULTILINE):
        found[name] += int(number)
    return found


def wrong(claims: list[Claim], output: str, program_said: str) -> list[str]:
    """A line for each claim that does not hold, and how far it is off."""
    found = {int(n): (int(a), int(b)) for n, a, b in re.findall(r"^(\d+) (\d+) (\d+)$", output, re.MULTILINE)}
    counts = counted(program_said)
    return [
        f"{claim.point}: {claim.predicate}: {claim.total} = {expected}, found {found.get(n)}"
        for n, claim in enumerate(claims)
        for expected in [claim.expected(counts)]
        if found.get(n) != (expected, expected)
    ]
