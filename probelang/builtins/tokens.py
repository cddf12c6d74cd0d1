"""Which builtins give tokens in process probes, and which would look into one: `strlen(ubacktrace())` has no answer there.

A token (`probelang.artifact.stacks`) stands for a stack or a name until it is shown; only the runtime knows the text.
"""

from __future__ import annotations

from probelang.artifact.stacks import NAME_TOKEN_BYTES, STACK_TOKEN_BYTES

TOKENS = {
    "ubacktrace": STACK_TOKEN_BYTES,
    "callers": STACK_TOKEN_BYTES,
    "caller": NAME_TOKEN_BYTES,
    "usymname": NAME_TOKEN_BYTES,
    **dict.fromkeys(("usymdata", "umodname", "usymfile", "usymline", "usymfileline"), NAME_TOKEN_BYTES),
}
LOOK_INSIDE = frozenset(
    ("strlen", "substr", "stringat", "isinstr", "strtol", "tokenize", "text_str", "text_strn", "str_replace")
)
