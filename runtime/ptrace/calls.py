"""ptrace(2) and waitpid(2) as functions, over ctypes; the same on every architecture.

    seize(4711, OPTIONS)          -> traced from here on, and not stopped
    wait(-1)                      -> (tid, status), (0, 0) where nothing has happened, (-1, 0) after a signal of our own

All raise OSError; ESRCH means that the thread is gone (or runs, where it should have stopped).
Source: include/uapi/linux/ptrace.h, ptrace(2).
"""

from __future__ import annotations

import ctypes
import errno
import os

PTRACE_SINGLESTEP = 9
PTRACE_CONT = 7
PTRACE_GETREGS = 12
PTRACE_SETREGS = 13
PTRACE_POKEUSER = 6
PTRACE_DETACH = 17
PTRACE_SYSCALL = 24
PTRACE_SETOPTIONS = 0x4200
PTRACE_GETEVENTMSG = 0x4201
PTRACE_GETSIGINFO = 0x4202
PTRACE_SETSIGINFO = 0x4203
PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
PTRACE_LISTEN = 0x4208
PTRACE_GETSIGMASK = 0x420A
PTRACE_GET_SYSCALL_INFO = 0x420E
PTRACE_SETSIGMASK = 0x420B

O_TRACESYSGOOD, O_TRACEFORK, O_TRACEVFORK, O_TRACECLONE, O_TRACEEXEC = 1, 2, 4, 8, 16
O_TRACEVFORKDONE, O_TRACEEXIT, O_EXITKILL = 32, 64, 1 << 20
EVENT_FORK, EVENT_VFORK, EVENT_CLONE, EVENT_EXEC = 1, 2, 3, 4
EVENT_VFORK_DONE, EVENT_EXIT, EVENT_STOP = 5, 6, 128

WNOHANG, WALL = 1, 0x40000000
SIGINFO_BYTES = 128

_libc = ctypes.CDLL(None, use_errno=True)
_ptrace = _libc.ptrace
_ptrace.restype = ctypes.c_long
_ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_waitpid = _libc.waitpid
_waitpid.restype = ctypes.c_int
_waitpid.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_status = ctypes.c_int(0)
_status_address = ctypes.addressof(_status)
_signal_info = (ctypes.c_int * (SIGINFO_BYTES // 4))()
_signal_info_address = ctypes.addressof(_signal_info)
_syscall_info = (ctypes.c_ubyte * 128)()  # struct ptrace_syscall_info
_SYSCALL_ENTRY = 1  # PTRACE_SYSCALL_INFO_ENTRY


def request(number: int, tid: int, address: int = 0, data: int = 0) -> int:
    """One ptrace request; raises OSError."""
    result: int = _ptrace(number, tid, address, data)
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def wait(tid: int, flags: int = WALL) -> tuple[int, int]:
    """The next change of state of a thread (-1: any). (0, 0): nothing with WNOHANG; (-1, 0): interrupted by a
    signal; (-2, 0): nobody is left to wait for."""
    found: int = _waitpid(tid, _status_address, flags)
    if found > 0:
        return found, _status.value
    if found == 0:
        return 0, 0
    code = ctypes.get_errno()
    if code == errno.EINTR:
        return -1, 0
    if code == errno.ECHILD:
        return -2, 0
    raise OSError(code, os.strerror(code))


def seize(tid: int, options: int) -> None:
    request(PTRACE_SEIZE, tid, 0, options)


def interrupt(tid: int) -> None:
    """The thread stops soon, with EVENT_STOP."""
    request(PTRACE_INTERRUPT, tid)


def detach(tid: int, signal: int = 0) -> None:
    request(PTRACE_DETACH, tid, 0, signal)


def event_message(tid: int) -> int:
    """What belongs to the event that a thread has stopped with: the new thread, the exit status, the old thread id."""
    message = ctypes.c_ulong()
    request(PTRACE_GETEVENTMSG, tid, 0, ctypes.addressof(message))
    return message.value


def is_syscall_entry(tid: int) -> bool:
    """Of a thread that has stopped at a system call: whether it has yet to be done. Since Linux 5.3."""
    request(PTRACE_GET_SYSCALL_INFO, tid, len(_syscall_info), ctypes.addressof(_syscall_info))
    return _syscall_info[0] == _SYSCALL_ENTRY


def signal_code(tid: int) -> int:
    """si_code of the signal that a thread has stopped with."""
    request(PTRACE_GETSIGINFO, tid, 0, _signal_info_address)
    return _signal_info[2]


def swap_signal_mask(tid: int, mask: int) -> int:
    """Blocks the signals of `mask` (bit n-1: signal n); the mask before."""
    word = ctypes.c_ulong()
    request(PTRACE_GETSIGMASK, tid, 8, ctypes.addressof(word))
    before, word.value = word.value, mask
    request(PTRACE_SETSIGMASK, tid, 8, ctypes.addressof(word))
    return before
