"""Capabilities of processes: bits of a mask, and their names.

    names_of(1 << 19)             ->  ("cap_sys_ptrace",)
    has_capability(CAP_BPF)       ->  whether this process may use it now

Source: include/uapi/linux/capability.h, capabilities(7).
"""

from __future__ import annotations

CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 19, 21, 38, 39

_NAMES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
)  # fmt: skip


def names_of(mask: int) -> tuple[str, ...]:
    """As libcap writes them; a bit that is younger than this list as `cap_NUMBER`."""
    bits = (bit for bit in range(mask.bit_length()) if mask >> bit & 1)
    return tuple(f"cap_{_NAMES[bit]}" if bit < len(_NAMES) else f"cap_{bit}" for bit in bits)


def own_capabilities(kind: str = "CapEff") -> int:
    """The mask of this process: CapEff what it may do, CapPrm what it could take. 0 where /proc is missing."""
    try:
        with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
            return next((int(line.split()[1], 16) for line in file if line.startswith(f"{kind}:")), 0)
    except OSError:
        return 0


def has_capability(bit: int) -> bool:
    return bool(own_capabilities() >> bit & 1)
