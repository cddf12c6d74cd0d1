"""Routines over strings that the kernel half calls: BPF global functions on the frame, verified once a program."""
