"""Numbers of BPF helpers (include/uapi/linux/bpf.h), and limits of what they and BPF code take."""

MAP_LOOKUP, MAP_UPDATE, MAP_DELETE = 1, 2, 3
PROBE_WRITE_USER, PROBE_READ_USER, PROBE_READ_KERNEL = 36, 112, 113
KTIME, CPU, PID_TGID, UID_GID, COMM, TASK = 5, 8, 14, 15, 16, 35
RINGBUF_OUTPUT, RINGBUF_RESERVE, RINGBUF_SUBMIT = 130, 131, 132
COPY_FROM_USER, TASK_BTF, FOR_EACH, ATTACH_COOKIE, TASK_PT_REGS = 148, 158, 164, 174, 175
STACK_LIMIT = 128  # bytes of a simple handler for keys
FAR = 32_000  # bytes; the offset of a load is 16 bits
MAX_TURNS = 8 * 1024 * 1024  # BPF_MAX_LOOPS
