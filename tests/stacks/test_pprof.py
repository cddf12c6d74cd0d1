"""The profile for pprof, read by a decoder that knows nothing of the one that wrote it; and by `go tool pprof`, where that is."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probelang.runtime.stacks.pprof import pprof
from probelang.runtime.stacks.profile import Profile, Sample, StackFrames
from probelang.runtime.stacks.protobuf import field_bytes, field_number, field_numbers
from tests.stacks.profiles import location, profile, sample, stack

Message = dict[int, list[int | bytes]]


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def read_message(data: bytes) -> Message:
    """Fields by number; the wire types that profile.proto has."""
    fields: Message = {}
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        if tag & 7 == 0:
            value, at = read_varint(data, at)
            fields.setdefault(tag >> 3, []).append(value)
        else:
            assert tag & 7 == 2
            size, at = read_varint(data, at)
            assert at + size <= len(data)
            fields.setdefault(tag >> 3, []).append(data[at : at + size])
            at += size
    return fields


def read_packed(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = read_varint(data, at)
        yield value - (1 << 64) if value >> 63 else value


@dataclass(frozen=True)
class Read:
    """A profile with all numbers looked up. A sample: locations, innermost first, as (address, mapping, ((function, file, line), ...));
    values; labels."""

    types: list[tuple[str, str]]
    default: str
    samples: Sequence[
        tuple[list[tuple[int, int, tuple[tuple[str, str, int], ...]]], list[int], dict[str, str | int]]
    ]
    mappings: dict[int, tuple[int, int, str, str]]
    started_ns: int
    duration_ns: int


def read_profile(data: bytes) -> Read:
    top = read_message(gzip.decompress(data))
    strings = [raw(value).decode() for value in top[6]]
    assert strings[0] == "" and len(set(strings)) == len(strings)

    def messages(field: int) -> list[Message]:
        return [read_message(raw(value)) for value in top.get(field, [])]

    functions = {number(m, 1): (strings[number(m, 2)], strings[number(m, 4)]) for m in messages(5)}
    mappings = {
        number(m, 1): (number(m, 2), number(m, 3), strings[number(m, 5)], strings[number(m, 6)])
        for m in messages(3)
    }
    places = {
        number(m, 1): (
            number(m, 3),
            number(m, 2),
            tuple(
                (*functions[number(line, 1)], number(line, 2))
                for line in (read_message(raw(v)) for v in m.get(4, []))
            ),
        )
        for m in messages(4)
    }
    samples = [
        (
            [places[n] for n in read_packed(raw(m.get(1, [b""])[0]))],
            list(read_packed(raw(m[2][0]))),
            {
                strings[number(label, 1)]: strings[number(label, 2)] if 2 in label else number(label, 3)
                for label in (read_message(raw(v)) for v in m.get(3, []))
            },
        )
        for m in messages(2)
    ]
    types = [(strings[number(m, 1)], strings[number(m, 2)]) for m in messages(1)]
    return Read(types, strings[number(top, 14)], samples, mappings, number(top, 9), number(top, 10))


def raw(value: int | bytes) -> bytes:
    assert isinstance(value, bytes)
    return value


def number(message: Message, field: int) -> int:
    value = message.get(field, [0])[-1]
    assert isinstance(value, int)
    return value


def names(read: Read, index: int = 0) -> list[str]:
    return [name for _, _, lines in read.samples[index][0] for name, _, _ in lines]


def test_a_sample_is_its_stack_innermost_first_and_its_value() -> None:
    read = read_profile(pprof(profile([sample(7, stack("main", "work"))])))
    assert names(read) == ["work", "main"]
    assert (read.types, read.default) == ([("calls", "count")], "calls")
    assert read.samples[0][1:] == ([7], {})


def test_other_parts_of_the_key_are_labels() -> None:
    labels = (("execname", b"prog"), ("tid", 7), ("zero", 0))
    read = read_profile(pprof(profile([Sample(0, labels, (stack("main"),), 1, (1,))])))
    assert read.samples[0][2] == {"execname": "prog", "tid": 7, "zero": 0}


def test_counts_and_sums_and_arrays_are_types_of_samples() -> None:
    made = Profile(
        ("sizes", "freed"),
        (("count", "sum"), ("value",)),
        (
            Sample(0, (), (stack("main"),), 2, (2, 300)),
            Sample(1, (), (stack("main"),), -5, (-5,)),
        ),
    )
    read = read_profile(pprof(made))
    assert read.types == [("sizes", "count"), ("sizes (sum)", "count"), ("freed", "count")]
    assert [values for _, values, _ in read.samples] == [[2, 300, 0], [0, 0, -5]]


def test_inlined_functions_are_lines_of_one_location() -> None:
    place = location("work", "prog", "innermost", "inner", line=10)
    read = read_profile(pprof(profile([sample(1, StackFrames((place,)))])))
    (_, _, lines) = read.samples[0][0][0]
    assert lines == (("innermost", "innermost.c", 11), ("inner", "inner.c", 11), ("work", "work.c", 10))


def test_files_are_mappings_with_their_build_ids_and_addresses_lie_in_them() -> None:
    stacks = StackFrames((location("malloc", "/lib/libc.so.6"), location("main", "/bin/prog")))
    read = read_profile(pprof(profile([sample(1, stacks)])))
    assert {(path, identity) for _, _, path, identity in read.mappings.values()} == {
        ("/lib/libc.so.6", "id-/lib/libc.so.6"),
        ("/bin/prog", "id-/bin/prog"),
    }
    for address, mapping, _ in read.samples[0][0]:
        start, limit, _, _ = read.mappings[mapping]
        assert start <= address < limit
    (one, end, *_), (other, *_) = sorted(read.mappings.values())
    assert one < end <= other


def test_code_of_no_file_has_no_mapping() -> None:
    place = replace(location("compiled"), module="", address=0x7F0012345678)
    read = read_profile(pprof(profile([sample(1, StackFrames((place,)))])))
    assert read.samples[0][0][0][:2] == (0x7F0012345678, 0)
    assert not read.mappings


def test_a_stack_that_was_cut_says_so() -> None:
    read = read_profile(pprof(profile([sample(1, stack("work", is_cut=True)), sample(1, StackFrames(()))])))
    assert names(read) == ["work", "[cut short]"]
    assert names(read, 1) == ["[no stack]"]


def test_nothing_counted_is_a_profile_without_samples() -> None:
    read = read_profile(pprof(profile([])))
    assert (read.types, read.samples) == ([("calls", "count")], [])


def test_times() -> None:
    made = replace(profile([sample(1, stack("main"))]), started_ns=1_700_000_000_000_000_000, duration_ns=5)
    read = read_profile(pprof(made))
    assert (read.started_ns, read.duration_ns) == (1_700_000_000_000_000_000, 5)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(
    st.lists(
        st.tuples(st.lists(NAMES, min_size=1, max_size=5), st.integers(-(1 << 63), (1 << 63) - 1)),
        max_size=12,
    )
)
def test_whatever_was_counted_is_read_again(stacks: list[tuple[list[str], int]]) -> None:
    read = read_profile(pprof(profile([sample(weight, stack(*way)) for way, weight in stacks])))
    found = [(names(read, i), values) for i, (_, values, _) in enumerate(read.samples)]
    assert found == [(way[::-1], [weight]) for way, weight in stacks]


def test_numbers_as_protocol_buffers_write_them() -> None:
    """The examples of the encoding's description."""
    assert field_number(1, 150) == bytes.fromhex("089601")
    assert field_bytes(2, b"testing") == bytes.fromhex("120774657374696e67")
    assert field_numbers(6, [3, 270, 86942]) == bytes.fromhex("3206038e029ea705")
    assert field_number(1, -2) == bytes.fromhex("08feffffffffffffffff01")


@pytest.mark.skipif(shutil.which("go") is None, reason="needs go")
def test_the_tool_it_is_for_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "calls.pb.gz"
    samples = [sample(7, stack("main", "work"), execname="prog"), sample(2, stack("main"))]
    path.write_bytes(pprof(profile(samples)))
    done = subprocess.run(
        ["go", "tool", "pprof", "-top", "-cum", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = {line.split()[-1]: line.split()[:4] for line in done.stdout.splitlines() if "%" in line}
    assert rows["main"][0::3] == ["2", "9"]
    assert rows["work"][0::3] == ["7", "7"]
