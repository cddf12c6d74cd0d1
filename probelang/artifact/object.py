"""From LLVM's object to a standard BPF object: adds `.BTF`, `.BTF.ext` and `.probelang`.

    finish_object(llvm_elf, manifest, (FunctionInfo("strcmp", "global", (("frame", "frame"), ("a", "long"))),), (), 4096)
    -> ELF that `bpftool prog loadall` takes, with everything `probelang run` needs
    read_object(that) -> (ElfObject, Manifest)

Three readers have three wishes: the kernel wants types of global functions (and of all functions of a program with
callbacks), libbpf wants map definitions and kfuncs as types, probelang's own loader wants the manifest. The types for the
kernel come first, see `btf.own_functions`. Sources: Linux Documentation/bpf/btf.rst, libbpf's
`bpf_object__init_user_btf_maps` and `bpf_object__collect_externs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from probelang.artifact.btf import EXTERN, GLOBAL, STATIC, BtfWriter, func_info
from probelang.artifact.elf import ElfObject, NotAnObject, Section, add_sections, read_elf
from probelang.artifact.manifest import Manifest, MapSpec
from probelang.artifact.serialize import DamagedManifest, dump_manifest, load_manifest

MANIFEST_SECTION = ".probelang"

ParameterKind = Literal["long", "frame", "pointer", "context"]


@dataclass(frozen=True, slots=True)
class FunctionInfo:
    """A function of the object, by symbol. `frame` is a pointer to the whole value of the map `frames`."""

    symbol: str
    linkage: Literal["static", "global"]
    parameters: tuple[tuple[str, ParameterKind], ...]


MAP_TYPES = {
    "hash": 1,
    "array": 2,
    "percpu_array": 6,
    "lru_hash": 9,
    "array_of_maps": 12,
    "ringbuf": 27,
}
# for other loaders, which choose nothing themselves: entries of `frames`, bytes of `events`
DEFAULT_ENTRIES = {"ringbuf": 1 << 22}
DEFAULT_FRAMES = 128

# kfuncs by name: result, and parameters; libbpf compares the kinds with those of the kernel
_KFUNCS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "bpf_iter_num_new": ("int", (("it", "iter"), ("start", "int"), ("end", "int"))),
    "bpf_iter_num_next": ("int *", (("it", "iter"),)),
    "bpf_iter_num_destroy": ("void", (("it", "iter"),)),
    "bpf_iter_task_vma_new": ("int", (("it", "areas"), ("task", "task"), ("addr", "long"))),
    "bpf_iter_task_vma_next": ("area", (("it", "areas"),)),
    "bpf_iter_task_vma_destroy": ("void", (("it", "areas"),)),
    # from 7.0 on both take the context, which code passes in any case
    "bpf_session_is_return": ("int", ()),
    "bpf_session_cookie": ("int *", ()),
    "bpf_rcu_read_lock": ("void", ()),
    "bpf_rcu_read_unlock": ("void", ()),
    "bpf_preempt_disable": ("void", ()),
    "bpf_preempt_enable": ("void", ()),
}


class _ObjectTypes:
    """The object's BTF in the making."""

    def __init__(self, elf: ElfObject, frame_size: int) -> None:
        self.elf = elf
        self.btf = BtfWriter()
        self.long = self.btf.integer("long", 8, signed=True)
        self.int = self.btf.integer("int", 4, signed=True)
        char = self.btf.integer("char", 1, signed=True)
        bytes_of_frame = self.btf.array(char, self.int, frame_size)
        frame = self.btf.structure("frame", frame_size, [("data", bytes_of_frame, 0)])
        self.void_pointer = self.btf.pointer(0)
        self.kinds: dict[ParameterKind, int] = {
            "long": self.long,
            "frame": self.btf.pointer(frame),
            "pointer": self.void_pointer,
            "context": self.void_pointer,
        }

    def add_functions(self, functions: Sequence[FunctionInfo]) -> bytes:
        """Adds their types; gives `.BTF.ext`."""
        rows: dict[int, list[tuple[int, int]]] = {}
        by_name = {s.name: s for s in self.elf.symbols}
        for f in functions:
            symbol = by_name.get(f.symbol)
            if symbol is None or not symbol.section:
                continue  # optimised away
            prototype = self.btf.prototype([(n, self.kinds[k]) for n, k in f.parameters], self.long)
            linkage = GLOBAL if f.linkage == "global" else STATIC
            type_id = self.btf.function(f.symbol.replace(".", "_"), prototype, linkage)
            rows.setdefault(symbol.section, []).append((symbol.value, type_id))
        return func_info(
            [(self.btf.string(self.elf.sections[i].name), sorted(found)) for i, found in rows.items()]
        )

    def add_maps(self, maps: Sequence[MapSpec]) -> None:
        members: list[tuple[int, int, int]] = []
        section: Section | None = self.elf.section(".maps")
        for spec in maps:
            symbol = self.elf.symbol(spec.name)
            if section is None or symbol is None or symbol.section != section.index:
                continue  # a data section, or not used
            variable = self.btf.variable(spec.name, self._map_definition(spec, spec.name))
            members.append((variable, symbol.value, 8))
        if section is not None and members:
            self.btf.section(".maps", section.size, sorted(members, key=lambda m: m[1]))

    def _map_definition(self, spec: MapSpec, name: str) -> int:
        default = DEFAULT_FRAMES if spec.name == "frames" else DEFAULT_ENTRIES.get(spec.type, 1)
        facts = {
            "type": MAP_TYPES[spec.type],
            "key_size": spec.key_size,
            "value_size": spec.value_size,
            "max_entries": spec.max_entries or default,
            "map_flags": spec.flags,
        }
        # libbpf reads only the members' types; one place for all keeps the symbol as small as it likes
        members = [
            (fact, self.btf.pointer(self.btf.array(self.int, self.int, value)), 0)
            for fact, value in facts.items()
            if value
        ]
        if spec.template is not None:
            inner = self.btf.pointer(self._map_definition(spec.template, ""))
            members.append(("values", self.btf.array(inner, self.int, 0), 0))
        return self.btf.structure(name, 8, members)

    def add_kfuncs(self, names: Sequence[str]) -> None:
        if not names:
            return
        kinds = {"void": 0, "int": self.int, "int *": self.btf.pointer(self.int)}
        kinds["iter"] = self.btf.pointer(self.btf.structure("bpf_iter_num", 8, [("it", self.long, 0)]))
        if any(name.startswith("bpf_iter_task_vma_") for name in names):
            areas = self.btf.structure("bpf_iter_task_vma", 8, [("__opaque", self.long, 0)])
            kinds["areas"] = self.btf.pointer(areas)
            kinds["task"] = self.btf.pointer(self.btf.structure("task_struct", 0, []))
            kinds["area"] = self.btf.pointer(self.btf.structure("vm_area_struct", 0, []))
            kinds["long"] = self.long
        members: list[tuple[int, int, int]] = []
        for name in names:
            result, parameters = _KFUNCS[name]
            prototype = self.btf.prototype([(n, kinds[k]) for n, k in parameters], kinds[result])
            members.append((self.btf.function(name, prototype, EXTERN), 0, 0))
        self.btf.section(".ksyms", 0, members)


def finish_object(
    code: bytes, manifest: Manifest, functions: Sequence[FunctionInfo], kfuncs: Sequence[str], frame_size: int
) -> bytes:
    """`frame_size`: the whole value size of the map `frames`. Kfuncs that the code does not call are left out."""
    elf = read_elf(code)
    types = _ObjectTypes(elf, max(frame_size, 8))
    undefined = {s.name for s in elf.symbols if not s.section}
    extension = types.add_functions(functions)
    types.add_maps(manifest.maps)
    types.add_kfuncs([k for k in kfuncs if k in undefined])
    extra = {".BTF": types.btf.finish(), ".BTF.ext": extension, MANIFEST_SECTION: dump_manifest(manifest)}
    return add_sections(code, extra)


def read_object(data: bytes) -> tuple[ElfObject, Manifest]:
    """Raises NotAnObject."""
    elf = read_elf(data)
    section = elf.section(MANIFEST_SECTION)
    if section is None:
        raise NotAnObject("it was not made by probelang")
    try:
        return elf, load_manifest(section.data)
    except DamagedManifest as error:
        raise NotAnObject(str(error)) from error
