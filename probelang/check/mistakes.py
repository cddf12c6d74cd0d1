"""The checker's diagnostics, loaded when the first of them is made.

A correct script, the usual case, then does not wait for the making of some forty classes that it has no use for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probelang.diag.callers import *
    from probelang.diag.kernel import *
    from probelang.diag.types import *
    from probelang.diag.variables import *
else:

    def __getattr__(name: str) -> type:
        from probelang.diag import kernel, types, variables

        found: type | None = getattr(types, name, None) or getattr(kernel, name, None)
        if found is None:
            found = getattr(variables, name, None)
        if found is None:
            from probelang.diag import callers

            found = getattr(callers, name)
        return found
