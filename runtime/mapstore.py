"""The variables that programs in the kernel share: `Store` over BPF maps and the mapped `.bss`.

    store.update_element(3, (b"x",), lambda n: n + 1)   one atomic step, whatever the kernel half does meanwhile

A handler that reads and deletes takes its variables over first: `begin_handler` replaces the live map by an empty one and
waits (the kernel's own update of an array of maps does) until no program can hold the old one. What is in it then belongs
to the handler, as plain Python values; `end_handler` gives back what the handler left. An aggregate that has got new values
meanwhile cannot be given back in one step, so it stays here and is added whenever the user half looks.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator

from probelang.artifact.code import Type
from probelang.artifact.manifest import BssStorage, Manifest, MapStorage, UserStorage
from probelang.runtime import bpf
from probelang.runtime.bssmemory import BssMemory
from probelang.runtime.load import Loaded, Map, make_map
from probelang.runtime.mailbox import Mailbox
from probelang.runtime.mapvalues import (
    KeyCodec,
    StatCodec,
    decode_string,
    empty_stat,
    encode_string,
    encode_value,
    merge_items,
    merge_values,
)
from probelang.runtime.store import ArrayOverflow, Key, Stat, Value

_SEQUENCE_SIZE = 8
Items = dict[Key, Value | Stat]


class SharedArray:
    """One map: an array, or a scalar aggregate that lies in a map of one entry. `left` are elements that could not be
    given back."""

    def __init__(self, variable: int, storage: MapStorage, value: Type, held: Map) -> None:
        self.variable = variable
        self.storage = storage
        self.value = value
        self.codec = KeyCodec(storage.key, storage.key_size)
        self.stats = None if storage.stats is None else StatCodec(storage.stats)
        self.outer = held if storage.swap else None
        template = held.spec.template
        self.spec = template if storage.swap and template is not None else held.spec
        self.fd = make_map(self.spec) if storage.swap else held.fd
        if self.outer is not None:
            bpf.update(self.outer.fd, bytes(4), struct.pack("<I", self.fd))
        self.left: Items = {}

    @property
    def is_array_map(self) -> bool:
        """Elements of an array map cannot be inserted or deleted."""
        return self.spec.type == "array"

    def close(self) -> None:
        if self.outer is not None:
            os.close(self.fd)

    def decode(self, data: bytes) -> Value | Stat:
        if self.stats is not None:
            return self.stats.decode(data)
        return (
            decode_string(data) if self.value is Type.STRING else int.from_bytes(data, "little", signed=True)
        )

    def encode(self, value: Value | Stat) -> bytes:
        if isinstance(value, Stat):
            assert self.stats is not None
            return self.stats.encode(value)
        return encode_value(value, self.storage.value_size)

    def lookup(self, key: Key) -> Value | Stat | None:
        data = bpf.lookup(self.fd, self.codec.encode(key), self.storage.value_size)
        found = None if data is None else self.decode(data)
        if isinstance(found, Stat) and not found.count and self.is_array_map:
            found = None
        left = self.left.get(key)
        if left is None or found is None:
            return left if found is None else found
        return merge_values(left, found)

    def read_map(self) -> list[tuple[Key, Value | Stat]]:
        if self.is_array_map:
            data = bpf.lookup(self.fd, bytes(4), self.storage.value_size)
            found = None if data is None else self.decode(data)
            return [] if found is None or (isinstance(found, Stat) and not found.count) else [((), found)]
        storage, decode_key = self.storage, self.codec.decode
        rows = bpf.lookup_batch(self.fd, storage.key_size, storage.value_size, self.spec.max_entries)
        return [(decode_key(key), self.decode(value)) for key, value in rows]

    def items(self) -> Items:
        return merge_items(list(self.left.items()), self.read_map())

    def insert(self, key: Key, value: Value | Stat, flags: int = bpf.ANY) -> bool:
        """False when it is there already and `flags` forbid that. Raises ArrayOverflow."""
        try:
            bpf.update(self.fd, self.codec.encode(key), self.encode(value), flags)
        except FileExistsError:
            return False
        except OSError as error:
            raise ArrayOverflow from error
        return True

    def delete(self, key: Key) -> None:
        self.left.pop(key, None)
        if self.is_array_map:
            bpf.update(self.fd, bytes(4), bytes(self.storage.value_size))
        else:
            bpf.delete(self.fd, self.codec.encode(key))

    def clear(self) -> None:
        self.left.clear()
        if self.is_array_map:
            bpf.update(self.fd, bytes(4), bytes(self.storage.value_size))
        else:
            bpf.delete_batch(self.fd, [self.codec.encode(key) for key, _ in self.read_map()])

    def take(self) -> Items:
        """What was there so far; the kernel half goes on with an empty map."""
        assert self.outer is not None
        old, self.fd = self.fd, make_map(self.spec)
        bpf.update(self.outer.fd, bytes(4), struct.pack("<I", self.fd))
        fresh, self.fd = self.fd, old
        try:
            return self.items()
        finally:
            self.fd = fresh
            self.left = {}
            os.close(old)


class MapStore:
    """The `Store` of a loaded object's shared variables."""

    def __init__(self, manifest: Manifest, loaded: Loaded) -> None:
        self._manifest = manifest
        memory = loaded.maps[".bss"].memory if ".bss" in loaded.maps else None
        self._memory = None if memory is None else BssMemory(memory)
        self._arrays = {
            i: SharedArray(i, s, manifest.variables[i].value, loaded.maps[s.map])
            for i, s in enumerate(manifest.storages)
            if isinstance(s, MapStorage)
        }
        self._taken: dict[int, Items] = {}
        host = next((loaded.programs[p.symbol] for p in manifest.programs if p.kind == "host"), None)
        self._mailbox = (
            None if host is None or self._memory is None
            else Mailbox(host, self._memory, dict(manifest.words))
        )  # fmt: skip

    def set_initial_values(self) -> None:
        """Before any program runs."""
        for number, variable in enumerate(self._manifest.variables):
            value, storage = variable.initial, self._manifest.storages[number]
            if value is None or isinstance(storage, UserStorage):
                continue
            if isinstance(storage, MapStorage):
                self._arrays[number].insert((), value)
            elif self._memory is not None and isinstance(value, int):
                self._memory.set_long(storage.offset, value)
            elif self._memory is not None and isinstance(value, bytes):
                text = encode_string(value, storage.size - _SEQUENCE_SIZE)
                self._memory.write(storage.offset + _SEQUENCE_SIZE, text)

    def close(self) -> None:
        for array in self._arrays.values():
            array.close()
        if self._memory is not None:
            self._memory.release()

    # ----------------------------------------------------------------------------------------- scalars

    def _bss(self, variable: int) -> tuple[BssMemory, BssStorage]:
        storage = self._manifest.storages[variable]
        assert isinstance(storage, BssStorage) and self._memory is not None
        return self._memory, storage

    def scalar(self, variable: int) -> Value:
        if variable in self._arrays:
            return self._scalar_in_map(variable)
        memory, storage = self._bss(variable)
        if self._manifest.variables[variable].value is Type.LONG:
            return memory.long(storage.offset)
        return self._read_string(memory, storage)[1]

    def _scalar_in_map(self, variable: int) -> Value:
        found = self.element(variable, ())
        if found is None:
            return b"" if self._manifest.variables[variable].value is Type.STRING else 0
        return found

    def _read_string(self, memory: BssMemory, storage: BssStorage) -> tuple[int, bytes]:
        """Sequence and text, both of one moment."""
        while True:
            sequence = memory.long(storage.offset)
            text = memory.read(storage.offset + _SEQUENCE_SIZE, storage.size - _SEQUENCE_SIZE)
            if not sequence & 1 and memory.long(storage.offset) == sequence:
                return sequence, decode_string(text)

    def set_scalar(self, variable: int, value: Value) -> None:
        if variable in self._arrays:
            self.set_element(variable, (), value)
            return
        memory, storage = self._bss(variable)
        if isinstance(value, int):
            memory.set_long(storage.offset, value)
        else:
            self._change_string(variable, memory, storage, lambda _: value)

    def update_scalar(self, variable: int, change: Callable[[Value], Value]) -> tuple[Value, Value]:
        if variable in self._arrays:
            return self.update_element(variable, (), change)
        memory, storage = self._bss(variable)
        if self._manifest.variables[variable].value is Type.STRING:
            return self._change_string(variable, memory, storage, change)
        while True:
            old = memory.long(storage.offset)
            new = change(old)
            assert isinstance(new, int)
            if self._mailbox is None:
                memory.set_long(storage.offset, new)
                return old, new
            if self._mailbox.compare_exchange(variable, b"", old, new):
                return old, new

    def _change_string(
        self, variable: int, memory: BssMemory, storage: BssStorage, change: Callable[[Value], Value]
    ) -> tuple[Value, Value]:
        while True:
            sequence, old = self._read_string(memory, storage)
            new = change(old)
            assert isinstance(new, bytes)
            text = encode_string(new, storage.size - _SEQUENCE_SIZE)
            if self._mailbox is None:
                memory.write(storage.offset + _SEQUENCE_SIZE, text)
                return old, new
            if self._mailbox.compare_exchange_string(variable, b"", sequence, text):
                return old, new

    # ------------------------------------------------------------------------------------------- arrays

    def element(self, variable: int, key: Key) -> Value | None:
        found = self._find(variable, key)
        assert not isinstance(found, Stat)
        return found

    def _find(self, variable: int, key: Key) -> Value | Stat | None:
        taken = self._taken.get(variable)
        return self._arrays[variable].lookup(key) if taken is None else taken.get(key)

    def set_element(self, variable: int, key: Key, value: Value) -> None:
        if isinstance(value, int) and variable not in self._taken:
            # in place: replacing the whole element would lose additions that are under way
            self.update_element(variable, key, lambda _: value)
        else:
            self._store(variable, key, value)

    def _store(self, variable: int, key: Key, value: Value) -> None:
        taken, array = self._taken.get(variable), self._arrays[variable]
        if taken is None:
            array.left.pop(key, None)
            array.insert(key, value)
        elif key not in taken and len(taken) >= array.spec.max_entries and array.spec.type == "hash":
            raise ArrayOverflow
        else:
            taken[key] = value

    def update_element(
        self, variable: int, key: Key, change: Callable[[Value], Value]
    ) -> tuple[Value, Value]:
        array = self._arrays[variable]
        missing: Value = b"" if array.value is Type.STRING else 0
        while True:
            found = self.element(variable, key)
            old = missing if found is None else found
            new = change(old)
            if variable in self._taken or self._mailbox is None:
                self._store(variable, key, new)
                return old, new
            if self._exchange(self._mailbox, array, key, old, new):
                return old, new

    def _exchange(self, mailbox: Mailbox, array: SharedArray, key: Key, old: Value, new: Value) -> bool:
        data = array.codec.encode(key)
        left = array.left.pop(key, None)
        if isinstance(old, int) and isinstance(new, int):
            live = old - left if isinstance(left, int) else old
            done = mailbox.compare_exchange(array.variable, data, live, new)
        else:
            text = encode_value(new, array.storage.value_size)
            done = mailbox.compare_exchange_string(array.variable, data, 0, text)
        if not done and left is not None:
            array.left[key] = left
        return done

    def contains(self, variable: int, key: Key) -> bool:
        return self._find(variable, key) is not None

    def keys(self, variable: int) -> Iterator[Key]:
        return iter([key for key, _ in self.items(variable)])

    def items(self, variable: int) -> list[tuple[Key, Value | Stat]]:
        taken = self._taken.get(variable)
        return list((self._arrays[variable].items() if taken is None else taken).items())

    def delete(self, variable: int, key: Key) -> None:
        taken = self._taken.get(variable)
        if taken is None:
            self._arrays[variable].delete(key)
        else:
            taken.pop(key, None)

    def clear(self, variable: int) -> None:
        taken = self._taken.get(variable)
        if taken is not None:
            taken.clear()
        elif variable in self._arrays:
            self._arrays[variable].clear()
        else:
            self._clear_scalar(variable)

    def _clear_scalar(self, variable: int) -> None:
        memory, storage = self._bss(variable)
        kind = self._manifest.variables[variable].value
        if kind is Type.STATS:
            memory.write(storage.offset, bytes(storage.size))
        else:
            self.set_scalar(variable, 0 if kind is Type.LONG else b"")

    # --------------------------------------------------------------------------------------- aggregates

    def accumulate(self, variable: int, key: Key | None, value: int) -> None:
        if variable in self._taken:
            codec = self._stat_codec(variable)
            held = self.stat(variable, key) or empty_stat(codec.layout)
            self._taken[variable][key or ()] = codec.add(held, value)
        elif self._mailbox is not None:
            data = b"" if variable not in self._arrays else self._arrays[variable].codec.encode(key or ())
            self._mailbox.accumulate(variable, data, value)
        else:
            self._accumulate_here(variable, key, value)

    def _accumulate_here(self, variable: int, key: Key | None, value: int) -> None:
        codec = self._stat_codec(variable)
        new = codec.add(self.stat(variable, key) or empty_stat(codec.layout), value)
        if variable in self._arrays:
            self._arrays[variable].left.pop(key or (), None)
            self._arrays[variable].insert(key or (), new)
        else:
            memory, storage = self._bss(variable)
            memory.write(storage.offset, codec.encode(new))

    def _stat_codec(self, variable: int) -> StatCodec:
        storage = self._manifest.storages[variable]
        assert not isinstance(storage, UserStorage) and storage.stats is not None
        return StatCodec(storage.stats)

    def stat(self, variable: int, key: Key | None) -> Stat | None:
        if variable in self._arrays:
            found = self._find(variable, key or ())
            assert found is None or isinstance(found, Stat)
            return empty_stat(self._stat_codec(variable).layout) if found is None and key is None else found
        memory, storage = self._bss(variable)
        return self._stat_codec(variable).decode(memory.read(storage.offset, storage.size))

    # ----------------------------------------------------------------------------------------- handlers

    def begin_handler(self, taken: tuple[int, ...]) -> None:
        for variable in taken:
            array = self._arrays.get(variable)
            if array is not None and array.outer is not None:
                self._taken[variable] = array.take()

    def end_handler(self) -> None:
        """What does not fit beside what has come meanwhile stays here, and readable."""
        taken, self._taken = self._taken, {}
        for variable, items in taken.items():
            for key, value in items.items():
                self._give_back(self._arrays[variable], key, value)

    def _give_back(self, array: SharedArray, key: Key, value: Value | Stat) -> None:
        try:
            if not array.is_array_map and array.insert(key, value, bpf.NOEXIST):
                return
        except ArrayOverflow:
            array.left[key] = value
            return
        array.left[key] = value
        if isinstance(value, int) and self._mailbox is not None:
            while not self._add_left(self._mailbox, array, key, value):
                pass

    def _add_left(self, mailbox: Mailbox, array: SharedArray, key: Key, value: int) -> bool:
        """Adds what was left of a long to its live element; False when that changed meanwhile."""
        array.left.pop(key, None)
        live = array.lookup(key)
        live = live if isinstance(live, int) else 0
        if mailbox.compare_exchange(array.variable, array.codec.encode(key), live, live + value):
            return True
        array.left[key] = value
        return False
