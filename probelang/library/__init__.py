"""Library files: where they are, what they define, and the few of them that a script needs.

    libraries = LibrarySet.open(options)
    libraries.find_function("thread_indent")  ->  LibraryFile(path=".../stdlib/indent.probe", program=...)

Nothing here knows what a name means to a script; `probelang.resolve` asks.
"""

from __future__ import annotations

from probelang.library.index import FileIndex, scan
from probelang.library.library_set import LibraryFile, LibrarySet
from probelang.library.search import library_files, standard_folder

__all__ = ["FileIndex", "LibraryFile", "LibrarySet", "library_files", "scan", "standard_folder"]
