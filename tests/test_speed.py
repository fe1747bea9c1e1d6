"""Guards of speed and memory by counts that are the same on every machine: calls of functions, bytes held at once.

Where a limit is broken on purpose, it is set anew here; benchmarks.throughput and benchmarks.growth tell the time.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from filter import lines, process_many

SEEDS = sorted((Path(__file__).resolve().parent.parent / "seeds").glob("*.txt"))
MAX_CALLS = 1_450
"""Calls of functions per 1,000 characters of the seeds: as measured (1,257), and 15 % for other versions of Python."""


@pytest.fixture(scope="module")
def texts():
    found = [path.read_text(encoding="utf-8") for path in SEEDS]
    list(process_many(found))  # models load, caches fill
    return found


def calls(work: Callable[[], object]) -> int:
    """Return how many functions are called, those of Python and those written in C."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def test_documents_cost_no_more_calls_than_they_did(texts):
    assert calls(lambda: list(process_many(texts))) <= MAX_CALLS * sum(map(len, texts)) / 1_000


def test_four_times_the_documents_cost_at_most_four_times_the_calls(texts):
    once = calls(lambda: list(process_many(texts)))
    assert calls(lambda: list(process_many(texts * 4))) <= 4 * once


def test_a_longer_document_costs_calls_in_proportion(texts):
    longest = max(texts, key=len)
    short, long = (calls(lambda text=text: list(process_many([text]))) for text in (longest, longest * 4))
    assert long <= 4 * short


def peak(work: Callable[[], object]) -> int:
    """Return how many more bytes are held at some time."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("line", ["a b", "It was a long day, and the court had still not said who would have to pay."])
def test_the_line_model_holds_no_more_for_a_long_document_than_for_a_window_of_it(monkeypatch, line):
    monkeypatch.setattr(lines, "_MAX_LINES", 500)
    monkeypatch.setattr(lines, "_CHUNK_CHARS", 1)
    own = [f"{line} {i}" for i in range(5_000)]
    lines.line_scores([own[:10]], [np.zeros(10, dtype=bool)])

    def held(count: int) -> int:
        return peak(lambda: lines.line_scores([own[:count]], [np.zeros(count, dtype=bool)]))

    assert held(5_000) < 1.5 * held(500)
