"""RE2 as the rules use it: linear time whatever a pattern says, and no more than a yes or no or a place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import re2

__all__ = ["options", "search_set"]


def options(max_mib: int) -> re2.Options:
    """Return how a pattern is compiled: in silence, without groups, its automaton in so much memory at most."""
    chosen = re2.Options()
    chosen.log_errors = False
    chosen.never_capture = True
    chosen.max_mem = max_mib << 20
    return chosen


def search_set(patterns: Iterable[str], max_mib: int) -> Any:
    """Return what tells which of some patterns are found in UTF-8.

    Raises:
        re2.error: a pattern cannot be compiled, or all together take too much memory.

    >>> list(search_set(["cookies?", "consent"], 8).Match(b"accept cookies"))
    [0]
    """
    found = re2.Set.SearchSet(options(max_mib))
    for pattern in patterns:
        found.Add(pattern)
    found.Compile()
    return found
