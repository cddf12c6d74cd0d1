"""The probed program's own values as code of the language: variables, members, types.

    $list->next->id   ->   user_int32(user_uint64(u_register("rdi")) + 8)      as nodes of `probelang.artifact.code`

Locations are compiled, not interpreted: both backends run the same typed code.
"""
