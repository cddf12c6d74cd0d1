"""What would bring a binary's debug information, in a few words.

    debug_advice(open_binary("/usr/bin/bash"))  ->  "install `bash-dbgsym`, or set DEBUGINFOD_URLS=https://debuginfod.debian.net"

The package is looked up in dpkg's lists of files; nothing is run. For messages only: it may take a tenth of a second.
"""

from __future__ import annotations

import os
from pathlib import Path

from probelang.dwarf.binary import Binary
from probelang.dwarf.separate import URLS

DPKG_FOLDER = "/var/lib/dpkg/info"
OS_RELEASE = "/etc/os-release"
_SERVERS = {
    "debian": "https://debuginfod.debian.net",
    "ubuntu": "https://debuginfod.ubuntu.com",
    "fedora": "https://debuginfod.fedoraproject.org",
    "centos": "https://debuginfod.centos.org",
    "arch": "https://debuginfod.archlinux.org",
    "opensuse": "https://debuginfod.opensuse.org",
}
_DEFAULT_SERVER = "https://debuginfod.elfutils.org"
# packages whose debug files have another name than `NAME-dbgsym` on Debian and its relatives
_OLD_STYLE = {"libc6": "libc6-dbg", "libc6-i386": "libc6-dbg"}
_OWN = ("/usr/local/", "/home/", "/root/", "/opt/", "/srv/", "/tmp/")


def debug_advice(binary: Binary, dpkg_folder: str = DPKG_FOLDER, os_release: str = OS_RELEASE) -> str:
    """One clause or two, without a full stop."""
    path = os.path.realpath(binary.path)
    package = "" if path.startswith(_OWN) else _package_with(path, dpkg_folder)
    system = _system(os_release)
    if not package and (path.startswith(_OWN) or os.path.isdir(dpkg_folder)):
        return "compile it with `gcc -g`"
    ways: list[str] = []
    if package:
        ways.append(f"install `{_OLD_STYLE.get(package, f'{package}-dbgsym')}`")
    elif system in ("fedora", "centos", "rhel"):
        ways.append(f"run `dnf debuginfo-install {path}`")
    if binary.build_id:
        if os.environ.get(URLS):
            ways.append("ask another server: those of DEBUGINFOD_URLS gave nothing")
        else:
            ways.append(f"set DEBUGINFOD_URLS={_SERVERS.get(system, _DEFAULT_SERVER)}")
    return ", or ".join(ways) or "compile it with `gcc -g`"


def _package_with(path: str, folder: str) -> str:
    """The Debian package that has this file; the lists have the names of before /usr was merged."""
    wanted = [os.fsencode(path) + b"\n"]
    if path.startswith("/usr/"):
        wanted.append(os.fsencode(path.removeprefix("/usr")) + b"\n")
    try:
        lists = sorted(Path(folder).glob("*.list"))
    except OSError:
        return ""
    for file in lists:
        try:
            text = b"\n" + file.read_bytes()
        except OSError:
            continue
        if any(b"\n" + line in text for line in wanted):
            return file.name.removesuffix(".list").partition(":")[0]
    return ""


def _system(os_release: str) -> str:
    """ID of os-release(5), or the first of ID_LIKE that is known."""
    try:
        lines = Path(os_release).read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    facts = dict(line.split("=", 1) for line in lines if "=" in line)
    names = [facts.get("ID", "").strip("\"'"), *facts.get("ID_LIKE", "").strip("\"'").split()]
    return next((n.partition("-")[0] for n in names if n.partition("-")[0] in (*_SERVERS, "rhel")), "")
