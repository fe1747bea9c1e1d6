"""Shows the doctests of docstrings as code; in prose, Markdown would take their brackets for links."""

from __future__ import annotations

import re
from typing import Any

import griffe

_DOCTEST = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)


class Doctests(griffe.Extension):
    """Puts fences around every run of lines that begins with >>>."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring:
            obj.docstring.value = _DOCTEST.sub(r"```python\n\g<0>\n```", obj.docstring.value)
