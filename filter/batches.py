"""Gathers a stream into batches of a bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

__all__ = ["batches"]

T = TypeVar("T")


def batches(items: Iterable[T], chars: Callable[[T], int], limit: int) -> Iterator[list[T]]:
    """Yield the items in lists, in order; a list ends with the item that brings it to `limit` characters.

    Reads no further ahead than the list it is about to yield; no list is empty.

    Args:
        items: what to gather.
        chars: how many characters an item counts for.
        limit: in characters.

    >>> list(batches(["ab", "c", "defg", "h"], len, 3))
    [['ab', 'c'], ['defg'], ['h']]
    """
    batch: list[T] = []
    total = 0
    for item in items:
        batch.append(item)
        total += chars(item)
        if total >= limit:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch
