"""Modules of messages, imported when the first message is needed.

Making a dataclass takes Python half a millisecond, and a correct script needs none of the many that say what is
wrong with it. So a phase writes

    from probelang.diag.deferred import names

or, of a module that is not listed here,

    if TYPE_CHECKING:
        from probelang.diag import syntax as mistakes
    else:
        mistakes = Deferred("probelang.diag.syntax")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["Deferred", "kernel", "marks", "names", "places", "target", "variables"]


class Deferred:
    """Stands for the module `name`; its attributes are the module's."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        value: object = getattr(import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value


if TYPE_CHECKING:
    from probelang.diag import kernel, marks, names, places, target, variables
else:
    kernel = Deferred("probelang.diag.kernel")
    marks = Deferred("probelang.diag.marks")
    names = Deferred("probelang.diag.names")
    places = Deferred("probelang.diag.places")
    target = Deferred("probelang.diag.target")
    variables = Deferred("probelang.diag.variables")
