"""probelang: a probe language for live user-space programs, compiled to eBPF."""

__version__ = "0.1.0"
