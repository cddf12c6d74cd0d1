"""Code of the process, found and followed in the kernel: which file an address lies in, and the walk of its stack.

locate.py   an address -> the frame that names it in every process      area.py   the memory area around an address
walk.py     registers -> the frames of a stack, by unwind rows          rows.py   the row of a file that holds at an address
"""
