"""Programs and libraries as probelang sees them: segments, functions, PLT slots.

    open_binary("/usr/bin/python3.11")  ->  Binary(path=..., build_id="571d98...", kind="exec", ...)

Only this package reads ELF files. Nothing here knows scripts: what is wrong with a file is raised as
`BinaryError`, whose diagnostic has no span yet.
"""
