"""Shared variables: what is written comes back, and what a handler takes over is its own."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from copy import deepcopy as copy
from dataclasses import dataclass, replace

import pytest

from probelang.artifact.code import HistogramShape, Type, Variable
from probelang.artifact.limits import Limits
from probelang.artifact.manifest import (
    BssStorage,
    HistogramLayout,
    KeyField,
    MapSpec,
    MapStorage,
    StatLayout,
    Storage,
)
from probelang.runtime import bpf
from probelang.runtime.load import Loaded, load_object
from probelang.runtime.mapstore import MapStore
from probelang.runtime.memorystore import MemoryStore
from probelang.runtime.store import ArrayOverflow, Stat, Store
from tests.runtime.objects import MAPS, PROGRAMS, STORAGES, VARIABLES, manifest, object_for

pytestmark = pytest.mark.kernel

LOG = HistogramShape("log")
LAYOUT = StatLayout(48 + 129 * 8, 0, 8, 16, 24, 32, (HistogramLayout(LOG, 48, 129),))
KEY = (KeyField(0, 8, Type.LONG), KeyField(8, 16, Type.STRING))
STRING_SIZE = 8 + 64

VARIABLE_ROWS: tuple[tuple[Variable, Storage, MapSpec | None], ...] = (
    (Variable("text", None, Type.STRING, initial=b"first"), BssStorage(128, 48), None),
    (Variable("keyed", (Type.LONG, Type.STRING), Type.LONG, max_entries=8), MapStorage("keyed", KEY, 24, 8),
     MapSpec("keyed", "hash", 24, 8, 8)),
    (Variable("texts", (Type.LONG,), Type.STRING), MapStorage("texts", KEY[:1], 8, STRING_SIZE),
     MapSpec("texts", "hash", 8, STRING_SIZE, 8)),
    (Variable("stats", (Type.LONG,), Type.STATS, shapes=(LOG,)),
     MapStorage("stats", KEY[:1], 8, LAYOUT.size, LAYOUT, swap=True),
     MapSpec("stats", "array_of_maps", 4, 4, 1, template=MapSpec("si", "hash", 8, LAYOUT.size, 64))),
    (Variable("one", None, Type.STATS, shapes=(LOG,)),
     MapStorage("one", (), 4, LAYOUT.size, LAYOUT, swap=True),
     MapSpec("one", "array_of_maps", 4, 4, 1, template=MapSpec("oi", "array", 4, LAYOUT.size, 1))),
)  # fmt: skip
N, BY_THREAD, TEXT, KEYED, TEXTS, STATS, ONE = range(7)
M = replace(
    manifest(),
    variables=(*VARIABLES, *(v for v, _, _ in VARIABLE_ROWS)),
    storages=(*STORAGES, *(s for _, s, _ in VARIABLE_ROWS)),
    # without the host program, which knows only `n`: nothing else writes here
    programs=tuple(p for p in PROGRAMS if p.kind != "host"),
    maps=(*MAPS, *(m for _, _, m in VARIABLE_ROWS if m is not None)),
)


@dataclass(slots=True)
class Kernel:
    """A loaded object and its store; `live` writes as a program would, into the live inner map."""

    loaded: Loaded
    store: MapStore

    def live(self, name: str, key: bytes, value: bytes) -> None:
        map_id = bpf.lookup(self.loaded.maps[name].fd, bytes(4), 4)
        assert map_id is not None
        fd = map_fd_of_id(struct.unpack("<I", map_id)[0])
        bpf.update(fd, key, value)
        os.close(fd)


def map_fd_of_id(number: int) -> int:
    # BPF_MAP_GET_FD_BY_ID
    return bpf._call(14, struct.pack("<III", number, 0, 0))  # pyright: ignore[reportPrivateUsage]


@pytest.fixture
def kernel(requires: Callable[..., None], kernel_features: frozenset[str]) -> Iterator[Kernel]:
    requires("root", "ring_buffer", "cookie")
    with load_object(object_for(M), features=kernel_features) as loaded:
        store = MapStore(M, loaded)
        store.set_initial_values()
        yield Kernel(loaded, store)
        store.close()


def test_the_same_story_in_memory_and_in_the_kernel(kernel: Kernel) -> None:
    assert story(kernel.store) == story(MemoryStore(M.variables, Limits().map_entries))


def story(store: Store) -> list[object]:
    told: list[object] = [store.scalar(N), store.scalar(TEXT)]
    store.set_scalar(N, -5)
    told.append(store.update_scalar(N, lambda v: v * 3 if isinstance(v, int) else 0))
    store.set_scalar(TEXT, b"a longer text")
    told += [
        store.scalar(N),
        store.scalar(TEXT),
        store.element(KEYED, (1, b"x")),
        store.contains(KEYED, (1, b"x")),
    ]
    store.set_element(KEYED, (1, b"x"), -9)
    store.set_element(KEYED, (-1, b"sixteen bytes ok"), 7)
    told += [store.element(KEYED, (1, b"x")), sorted(store.items(KEYED)), sorted(store.keys(KEYED))]
    store.delete(KEYED, (1, b"x"))
    store.delete(KEYED, (1, b"never there"))
    told.append(sorted(store.items(KEYED)))
    store.clear(KEYED)
    told.append(store.items(KEYED))
    store.set_element(TEXTS, (4,), b"four")
    told.append(store.update_element(TEXTS, (5,), lambda v: b"five"))
    told.append(sorted(store.items(TEXTS)))
    for taken in ((), (STATS, ONE)):
        store.begin_handler(taken)
        told += [copy(store.stat(STATS, (1,))), copy(store.stat(ONE, None))]
        if not taken:
            store.end_handler()
            continue
        for value in (-3, 0, 1000, 7):
            store.accumulate(STATS, (1,), value)
            store.accumulate(ONE, None, value)
        told += [copy(store.stat(STATS, (1,))), copy(store.stat(ONE, None))]
        store.end_handler()
    told += [copy(store.stat(STATS, (1,))), copy(store.stat(ONE, None)), copy(store.items(STATS))]
    store.clear(ONE)
    store.clear(STATS)
    store.clear(TEXT)
    store.clear(N)
    told += [copy(store.stat(STATS, (1,))), copy(store.stat(ONE, None)), store.scalar(TEXT), store.scalar(N)]
    return told


def test_a_full_array_is_an_overflow(kernel: Kernel) -> None:
    for i in range(8):
        kernel.store.set_element(TEXTS, (i,), b"x")
    with pytest.raises(ArrayOverflow):
        kernel.store.set_element(TEXTS, (9,), b"x")
    kernel.store.set_element(TEXTS, (7,), b"y")


def test_many_elements_come_in_batches(kernel: Kernel) -> None:
    fd = bpf.create_map("many", bpf.MAP_HASH, 8, 64, 50_000)
    for i in range(50_000):
        bpf.update(fd, struct.pack("<q", i), struct.pack("<q", i).ljust(64, b"\0"))
    rows = bpf.lookup_batch(fd, 8, 64, 50_000)
    assert sorted(struct.unpack("<q", k)[0] for k, _ in rows) == list(range(50_000))
    bpf.delete_batch(fd, [struct.pack("<q", i) for i in range(0, 60_000, 2)])
    assert len(bpf.lookup_batch(fd, 8, 64, 50_000)) == 25_000


def one_stat(value: int) -> Stat:
    store = MemoryStore((Variable("s", None, Type.STATS, shapes=(LOG,)),), 1)
    store.accumulate(0, None, value)
    found = store.stat(0, None)
    assert found is not None
    return found


def encoded(value: int) -> bytes:
    from probelang.runtime.mapvalues import StatCodec

    return StatCodec(LAYOUT).encode(one_stat(value))


def key(number: int) -> bytes:
    return struct.pack("<q", number)


def test_what_comes_while_a_handler_runs_is_not_deleted_by_it(kernel: Kernel) -> None:
    kernel.live("by_thread", key(1), key(10))
    kernel.live("by_thread", key(2), key(20))
    kernel.store.begin_handler((BY_THREAD,))
    kernel.live("by_thread", key(1), key(5))
    assert sorted(kernel.store.items(BY_THREAD)) == [((1,), 10), ((2,), 20)]
    kernel.store.clear(BY_THREAD)
    kernel.store.end_handler()
    assert kernel.store.items(BY_THREAD) == [((1,), 5)]


def test_what_a_handler_leaves_is_given_back_and_adds_up(kernel: Kernel) -> None:
    kernel.live("by_thread", key(1), key(10))
    kernel.live("by_thread", key(2), key(20))
    kernel.store.begin_handler((BY_THREAD,))
    kernel.live("stats", key(1), encoded(5))
    kernel.store.delete(BY_THREAD, (2,))
    kernel.store.end_handler()
    assert kernel.store.items(BY_THREAD) == [((1,), 10)]


def test_aggregates_that_go_on_being_filled_are_never_lost(kernel: Kernel) -> None:
    """Nothing can add a whole aggregate to a live one in one step: what is left is kept, and counts."""
    kernel.live("stats", key(1), encoded(100))
    kernel.live("one", bytes(4), encoded(100))
    for _ in range(3):
        kernel.store.begin_handler((STATS, ONE))
        kernel.live("stats", key(1), encoded(-7))
        kernel.live("one", bytes(4), encoded(-7))
        kernel.store.end_handler()
    for stat in (kernel.store.stat(STATS, (1,)), kernel.store.stat(ONE, None)):
        assert stat is not None
        assert (stat.count, stat.sum, stat.minimum, stat.maximum) == (4, 79, -7, 100)
        assert sum(stat.histograms[0]) == 4
    kernel.store.begin_handler((STATS, ONE))
    kernel.store.clear(STATS)
    kernel.store.clear(ONE)
    kernel.store.end_handler()
    assert kernel.store.items(STATS) == []
    assert kernel.store.stat(ONE, None) == Stat(histograms=[[0] * 129])
