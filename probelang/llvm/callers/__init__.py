"""Who called: predicates about code, decided in the kernel as `probelang.layout.callers` has chosen.

predicate.py  code_in(address, set)       ranges.py    an offset in a file -> whether it is one of many ranges
within.py     within_code(set)            hooks.py     calls under way whose returns are hooked
site.py       the probed place            located.py   an address -> file and offset, kept while the memory map stays as it is
returnaddress.py   where a call returns   mixing.py    words -> a hash that stands for them
"""
