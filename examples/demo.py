"""`make demo`: what CPython allocates while it works, and who asks for it, by python_allocations.probe.

Works on a copy of the interpreter in a temporary folder, so that no other program is touched. Root gets the kernel backend,
everybody else ptrace, where a hit costs more and the workload is a tenth.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from probelang.runtime.choice import may_use_bpf

HERE = Path(__file__).parent
WORDS, WORDS_WITH_PTRACE = 20_000, 2_000
WORKLOAD = """
import json, re
words = [f"word{{i % 997}}" for i in range({words})]
counts = {{}}
for word in words:
    counts[word] = counts.get(word, 0) + 1
text = json.dumps([{{"word": w, "count": n, "pairs": list(range(n))}} for w, n in counts.items()])
found = re.findall(r'"word(\\d+)"', text)
print(f"the workload counted {{len(counts)}} words, wrote {{len(text)}} bytes of JSON, found {{len(found)}} numbers")
"""


def main() -> int:
    words = WORDS if may_use_bpf() else WORDS_WITH_PTRACE
    with tempfile.TemporaryDirectory(prefix="probelang-demo-") as folder:
        interpreter, probed = copy_interpreter(Path(folder))
        workload = Path(folder) / "workload.py"
        workload.write_text(WORKLOAD.format(words=words))
        script = HERE / "python_allocations.probe"
        command = (
            f"/usr/bin/env PYTHONHOME={sys.base_prefix} LD_LIBRARY_PATH={folder} {interpreter} {workload}"
        )
        print(
            f"$ probelang {script.name} {probed.name} -c '{interpreter.name} {workload.name}'\n", flush=True
        )
        line = [sys.executable, "-m", "probelang", "run", str(script), str(probed), "-c", command]
        return subprocess.run(line, check=False).returncode


def copy_interpreter(folder: Path) -> tuple[Path, Path]:
    """The interpreter's copy, and the copied file that holds its symbols: itself or its shared library."""
    binary = Path(sys.executable).resolve()
    interpreter = Path(shutil.copy(binary, folder / "python3"))
    if b"PyObject_Malloc" in binary.read_bytes():
        return interpreter, interpreter
    libraries = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=True).stdout
    for line in libraries.splitlines():
        name, _, rest = line.strip().partition(" => ")
        if name.startswith("libpython"):
            return interpreter, Path(shutil.copy(rest.split(" (")[0], folder / name))
    raise SystemExit(f"found no symbols of Python in {binary} or its libraries")


if __name__ == "__main__":
    sys.exit(main())
