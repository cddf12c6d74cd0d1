"""Layout: which half runs what, and where everything lies. See `probelang.layout.program`."""

from probelang.layout.place import lay_out

__all__ = ["lay_out"]
