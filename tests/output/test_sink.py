"""Text and JSON output."""

from __future__ import annotations

import io
import json

from probelang.artifact.code import Type, Variable
from probelang.runtime.memorystore import MemoryStore
from probelang.runtime.output.report import final_variables
from probelang.runtime.output.sink import JsonSink, Sink, TextSink
from probelang.runtime.output.speculation import MAX_BYTES, Speculations

VARIABLES = (
    Variable("n", None, Type.LONG, report=True),
    Variable("read", None, Type.LONG),
    Variable("a", (Type.STRING, Type.LONG), Type.STRING, report=True),
    Variable("t", (Type.LONG,), Type.STATS, report=True),
    Variable("empty", None, Type.STATS, report=True),
)


def fill(sink: Sink) -> None:
    store = MemoryStore(VARIABLES, 10)
    store.set_scalar(0, -5)
    store.set_element(2, (b"k", 1), b"\xff\n")
    store.set_element(2, (b"j", 1), b"\xff\n")
    for key, value in ((1, 10), (2, 20), (2, -41)):
        store.accumulate(3, (key,), value)
    sink.print(b"one\n")
    sink.warn(b"careful")
    sink.error(b"division by 0", "near '/' at x.probe:1:2")
    for variable in final_variables(VARIABLES, store):
        sink.variable(variable)
    sink.flush()


def test_text() -> None:
    stream, messages = io.BytesIO(), io.BytesIO()
    fill(TextSink(stream, messages))
    assert messages.getvalue() == b"WARNING: careful\nERROR: division by 0 near '/' at x.probe:1:2\n"
    assert stream.getvalue() == (
        b'one\nn=-5\na["j",1]="\\377\\n"\na["k",1]="\\377\\n"\n'
        b"t[2] @count=2 @min=-41 @max=20 @sum=-21 @avg=-10\nt[1] @count=1 @min=10 @max=10 @sum=10 @avg=10\n"
        b"empty @count=0x0\n"
    )


def test_text_is_collected_until_it_is_worth_writing() -> None:
    stream = io.BytesIO()
    sink = TextSink(stream, io.BytesIO(), buffer_size=10)
    sink.print(b"12345")
    assert stream.getvalue() == b""
    sink.print(b"67890")
    assert stream.getvalue() == b"1234567890"
    sink.print(b"x")
    sink.flush()
    assert stream.getvalue() == b"1234567890x"


def test_messages_stand_where_they_came() -> None:
    both = io.BytesIO()
    sink = TextSink(both, both)
    sink.print(b"a\n")
    sink.warn(b"b")
    sink.print(b"c\n")
    sink.flush()
    assert both.getvalue() == b"a\nWARNING: b\nc\n"


def test_json() -> None:
    stream = io.BytesIO()
    fill(JsonSink(stream))
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"type": "print", "text": "one\n"},
        {"type": "warning", "message": "careful"},
        {"type": "error", "message": "division by 0", "place": "near '/' at x.probe:1:2"},
        {"type": "variable", "name": "n", "value": -5},
        {
            "type": "variable",
            "name": "a",
            "rows": [{"key": ["j", 1], "value": "\\xff\n"}, {"key": ["k", 1], "value": "\\xff\n"}],
        },
        {
            "type": "variable",
            "name": "t",
            "rows": [
                {"key": [2], "value": {"count": 2, "min": -41, "max": 20, "sum": -21, "avg": -10}},
                {"key": [1], "value": {"count": 1, "min": 10, "max": 10, "sum": 10, "avg": 10}},
            ],
        },
        {"type": "variable", "name": "empty", "value": {"count": 0}},
    ]


def test_speculations() -> None:
    parts: list[bytes] = []
    buffers = Speculations(parts.append, first=100)
    one, two = buffers.create(), buffers.create()
    assert (one, two) == (100, 101)
    buffers.add(one, b"a")
    buffers.add(two, b"b")
    buffers.add(one, b"c")
    buffers.discard(two)
    buffers.commit(two)
    buffers.commit(one)
    buffers.commit(one)
    assert parts == [b"ac"]


def test_speculations_do_not_grow_without_bound() -> None:
    parts: list[bytes] = []
    buffers = Speculations(parts.append)
    buffers.add(1, b"x" * MAX_BYTES)
    buffers.add(1, b"y")
    buffers.commit(1)
    assert (len(parts[0]), buffers.dropped) == (MAX_BYTES, 1)
