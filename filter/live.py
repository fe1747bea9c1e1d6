"""A filter that answers while its input goes on: batches that do not wait for more than a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

__all__ = ["batches_in_time"]

T = TypeVar("T")


def batches_in_time(items: Iterable[T], chars: Callable[[T], int], limit: int, wait_s: float) -> Iterator[list[T]]:
    """Yield the items in lists, in order; a list ends at `limit` characters, or when its first item has waited.

    The items are taken in a thread of its own, which gathers the next list while the last one is worked on, and reads
    no further ahead than `limit` and one item. No list is empty.

    Args:
        items: what to gather; may take its time.
        chars: how many characters an item counts for.
        limit: in characters.
        wait_s: how long, in seconds, an item waits for others at most while nothing else is worked on.

    >>> list(batches_in_time(["ab", "c", "defg"], len, 3, 60))
    [['ab', 'c'], ['defg']]
    """
    gatherer = _Gatherer(items, chars, limit)
    try:
        while batch := gatherer.take(wait_s):
            yield batch
    finally:
        gatherer.stop()


class _Gatherer(Generic[T]):
    def __init__(self, items: Iterable[T], chars: Callable[[T], int], limit: int) -> None:
        self._items = items
        self._chars = chars
        self._limit = limit
        self._changed = threading.Condition()
        self._waiting: list[T] = []
        self._total = 0
        self._is_done = False
        self._error: BaseException | None = None
        # It may be stuck in a read for ever, which must not keep the process from ending.
        threading.Thread(target=self._gather, name="textsieve-reader", daemon=True).start()

    def _gather(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    self._waiting.append(item)
                    self._total += self._chars(item)
                    self._changed.notify_all()
                    while self._total >= self._limit and not self._is_done:
                        self._changed.wait()
                    if self._is_done:
                        return
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._is_done = True
                self._changed.notify_all()

    def take(self, wait_s: float) -> list[T]:
        """Return the next items; none when there are no more.

        Raises:
            BaseException: what taking the items raised, after those before it.
        """
        with self._changed:
            while not self._waiting and not self._is_done:
                self._changed.wait()
            deadline = time.monotonic() + wait_s
            while self._total < self._limit and not self._is_done and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            batch, self._waiting, self._total = self._waiting, [], 0
            self._changed.notify_all()
        if not batch and self._error is not None:
            raise self._error
        return batch

    def stop(self) -> None:
        with self._changed:
            self._is_done = True
            self._changed.notify_all()
