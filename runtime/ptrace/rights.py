"""What rights a program begins with that its caller has not: setuid, setgid, file capabilities.

    gained_rights("/usr/bin/passwd")  ->  "the rights of `root`"
    gained_rights("/usr/bin/ls")      ->  ""

A process whose tracer lacks CAP_SYS_PTRACE executes such a program without them.
Source: kernel security/commoncap.c, cap_bprm_creds_from_file(); fs/exec.c, bprm_fill_uid().
"""

from __future__ import annotations

import os
import stat
import struct

from probelang.runtime.capabilities import names_of, own_capabilities

_CAPABILITIES = "security.capability"  # struct vfs_cap_data, include/uapi/linux/capability.h
_MOST_SCRIPTS = 5  # one script that runs another; the kernel's limit is about that
_MOST_NAMES = 6  # of capabilities in one message


def gained_rights(path: str) -> str:
    """In words; empty where there are none, or nothing can be found out."""
    try:
        path = _interpreter(path)
        status = os.stat(path)
        if _has_no_effect(path):
            return ""
        return _owners(status) or _capabilities(path)
    except OSError:
        return ""


def is_unreadable(path: str) -> bool:
    """May be run and not be read: then the kernel keeps tracers from its memory."""
    return os.access(path, os.X_OK) and not os.access(path, os.R_OK)


def _interpreter(path: str) -> str:
    """Of a script the program that runs it: the script's own bits mean nothing."""
    for _ in range(_MOST_SCRIPTS):
        with open(path, "rb") as file:
            words = file.readline(256)[2:].split() if file.peek(2)[:2] == b"#!" else []
        if not words:
            break
        path = os.fsdecode(words[0])
    return path


def _has_no_effect(path: str) -> bool:
    if os.statvfs(path).f_flag & os.ST_NOSUID:
        return True
    with open("/proc/self/status", "rb") as file:
        return b"\nNoNewPrivs:\t1" in file.read()


def _owners(status: os.stat_result) -> str:
    mode = status.st_mode
    if mode & stat.S_ISUID and status.st_uid != os.geteuid() and _is_mapped("uid_map", status.st_uid):
        return f"the rights of `{user_name(status.st_uid)}`"
    # without the group's execute bit setgid means a lock
    is_setgid = mode & stat.S_ISGID and mode & stat.S_IXGRP
    if is_setgid and status.st_gid != os.getegid() and _is_mapped("gid_map", status.st_gid):
        return f"the rights of group `{group_name(status.st_gid)}`"
    return ""


def _is_mapped(table: str, number: int) -> bool:
    """Whether a user or group exists in our user namespace; setuid to another one is ignored."""
    try:
        with open(f"/proc/self/{table}", encoding="utf-8") as file:
            ranges = [[int(word) for word in line.split()] for line in file]
    except OSError:
        return True
    return any(first <= number < first + count for first, _, count in ranges)


def _capabilities(path: str) -> str:
    try:
        data = os.getxattr(path, _CAPABILITIES)
    except OSError:
        return ""
    if len(data) < 12:
        return ""
    permitted = sum(
        struct.unpack_from("<I", data, at)[0] << 32 * i for i, at in enumerate(range(4, len(data) - 7, 8))
    )
    return capabilities_in_words(permitted & ~own_capabilities("CapPrm"))


def capabilities_in_words(mask: int) -> str:
    """Empty for none."""
    names = names_of(mask)
    if len(names) > _MOST_NAMES:
        return "the capabilities of root"
    return f"the capabilit{'y' if len(names) == 1 else 'ies'} {', '.join(names)}" if names else ""


def user_name(uid: int) -> str:
    """The number where there is no such name."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
