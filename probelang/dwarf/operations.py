"""Numbers of DWARF operations, by their names without `DW_OP_`.

Source: DWARF 5, sections 2.5, 2.6 and 7.7.1; GNU extensions as in binutils' include/dwarf2.def.
"""

from __future__ import annotations

addr = 0x03
deref = 0x06
const1u, const1s, const2u, const2s, const4u, const4s, const8u, const8s = range(0x08, 0x10)
constu, consts = 0x10, 0x11
dup, drop, over, pick, swap, rot, xderef = range(0x12, 0x19)
abs_, and_, div, minus, mod, mul, neg, not_, or_, plus, plus_uconst, shl, shr, shra, xor = range(0x19, 0x28)
bra = 0x28
eq, ge, gt, le, lt, ne = range(0x29, 0x2F)
skip = 0x2F
lit0, lit31 = 0x30, 0x4F
reg0, reg31 = 0x50, 0x6F
breg0, breg31 = 0x70, 0x8F
regx, fbreg, bregx, piece, deref_size, xderef_size, nop = range(0x90, 0x97)
push_object_address, call2, call4, call_ref = range(0x97, 0x9B)
form_tls_address, call_frame_cfa, bit_piece, implicit_value, stack_value = range(0x9B, 0xA0)
implicit_pointer, addrx, constx, entry_value = range(0xA0, 0xA4)
const_type, regval_type, deref_type, xderef_type, convert, reinterpret = range(0xA4, 0xAA)

GNU_push_tls_address = 0xE0
GNU_uninit = 0xF0
GNU_implicit_pointer, GNU_entry_value, GNU_const_type, GNU_regval_type, GNU_deref_type = range(0xF2, 0xF7)
GNU_convert = 0xF7
GNU_reinterpret = 0xF9
GNU_parameter_ref, GNU_addr_index, GNU_const_index, GNU_variable_value = range(0xFA, 0xFE)
