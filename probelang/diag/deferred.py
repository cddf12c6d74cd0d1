"""Modules of messages, imported when the first message is needed.

Making a dataclass takes Python half a millisecond, and a correct script needs none of the many that say what is
wrong with it. So a phase writes

    if TYPE_CHECKING:
        from probelang.diag import syntax as mistakes
    else:
        mistakes = Deferred("probelang.diag.syntax")
"""

from __future__ import annotations

from importlib import import_module


class Deferred:
    """Stands for the module `name`; its attributes are the module's."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        value: object = getattr(import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value
