"""Builtins on floating point numbers. A script has no type for them: one is carried as the 64 bits of an IEEE double.

    long_to_double(3) == 0x4008000000000000        double_to_long(long_to_double(3)) == 3

The kernel half has integer instructions only, so all of this is done with them.
"""

from __future__ import annotations

from probelang.artifact.code import Type
from probelang.builtins import Builtin

L, S = Type.LONG, Type.STRING

ROWS: tuple[Builtin, ...] = (
    Builtin(
        "float_to_double", (L,), L, "The 64 bits of the double that equals the float with these 32 bits."
    ),
    Builtin(
        "double_to_float",
        (L,),
        L,
        "The 32 bits of the float that is nearest to the double with these bits.",
    ),
    Builtin(
        "long_double_to_double",
        (L, L),
        L,
        "The double that is nearest to an x87 extended number: its lowest 64 bits, and the 16 bits above them.",
    ),
    Builtin(
        "double_to_long",
        (L,),
        L,
        "The double with these bits as a number, cut towards zero; the nearest there is when it is too large; 0 for no "
        "number (NaN).",
    ),
    Builtin("long_to_double", (L,), L, "The bits of the double that is nearest to a number."),
    Builtin(
        "double_order",
        (L,),
        L,
        "A number that is smaller for a smaller double, and the same for 0.0 and -0.0; NaN is above (or, with its sign set, below) "
        "all others.",
    ),
    Builtin(
        "double_text",
        (L,),
        S,
        'The double with these bits as text, as `%f` prints it; from 2^63 on as `%a` does, like "0x1.8p+70".',
    ),
)
