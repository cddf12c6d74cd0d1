"""A manifest survives its way through JSON, and nothing else is taken for one."""

from __future__ import annotations

import pytest

from probelang.artifact import code
from probelang.artifact.code import Automaton, Function, Piece, Place, Type, Variable
from probelang.artifact.limits import Limits
from probelang.artifact.manifest import (
    VERSION,
    BssStorage,
    HistogramLayout,
    KeyField,
    Manifest,
    MapSpec,
    MapStorage,
    ProbeSpec,
    ProgramSpec,
    Record,
    StatLayout,
    UserStorage,
)
from probelang.artifact.points import BinaryFile, FunctionPoint, LifecyclePoint, Site
from probelang.artifact.serialize import DamagedManifest, dump_manifest, load_manifest

LOG = code.HistogramShape("log")
BODY = code.Block(
    (
        code.Evaluate(code.Assign(code.Local(0, Type.LONG), "=", code.Number(-1), Type.LONG, 0)),
        code.Foreach(
            (), None, 0, (None, code.Text(b"\xff\0'\"")), code.Order("count", True), None, code.Break(), 0
        ),
        code.Return(None),
    )
)
EVERYTHING = Manifest(
    version=VERSION,
    probelang="1",
    limits=Limits(string_size=64),
    variables=(Variable("a", (Type.LONG, Type.STRING), Type.STATS, initial=None, shapes=(LOG,)),),
    storages=(
        UserStorage(),
        BssStorage(8, 16),
        MapStorage("m", (KeyField(0, 8, Type.LONG),), 8, 24, StatLayout(24, 0, 8, None, None, None, (HistogramLayout(LOG, 24, 129),))),
    ),
    functions=(Function("f", 1, (code.LocalVariable("x", Type.STRING),), Type.VOID, BODY, 3),),
    probes=(
        ProbeSpec("begin", LifecyclePoint("begin", -3), handler=code.Handler((), None, code.Number(1), BODY, 0)),
        ProbeSpec("f", FunctionPoint(BinaryFile("/bin/x", "ab"), (Site(1, 2, "f", "p"),), True), ("probe_0",)),
    ),
    automata=(Automaton(b"a$", 1, (0,) * 256, (), (0,)),),
    places=(Place("x.probe", 1, 2, "tok\udcffen"),),
    maps=(MapSpec("o", "array_of_maps", 4, 4, 1, template=MapSpec("i", "hash", 8, 8, 9)),),
    programs=(ProgramSpec("probe_0", "uprobe/probe_0", "uprobe", True),),
    records=(Record("print", ("long", "histogram"), "", (Piece("d", width=-1),), (LOG,)),),
    constants=(),
    words=(("state", 0), ("lost", 8)),
    features=("cookie",),
)  # fmt: skip


def test_everything_comes_back() -> None:
    again = load_manifest(dump_manifest(EVERYTHING))
    assert again == EVERYTHING
    assert isinstance(again.words, tuple) and isinstance(again.words[0], tuple)
    assert again.variables[0].value is Type.STATS


def test_the_same_manifest_gives_the_same_bytes() -> None:
    assert dump_manifest(EVERYTHING) == dump_manifest(load_manifest(dump_manifest(EVERYTHING)))


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"Nothing":[1]}', b'{"Number":[1]}', b'{"Number":[1,2,3]}', b'{"a":1,"b":2}']
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(DamagedManifest):
        load_manifest(data)


def test_another_version_is_named() -> None:
    data = dump_manifest(EVERYTHING).replace(f'{{"Manifest":[{VERSION},'.encode(), b'{"Manifest":[99,')
    with pytest.raises(DamagedManifest, match="version 99"):
        load_manifest(data)
