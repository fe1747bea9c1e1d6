import json
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter import pipeline
from filter.batch import analyse
from filter.config import Config
from filter.live import batches_in_time
from filter.readers import Item, Record
from filter.writers import StreamWriter

from .conftest import ROOT
from .toys import by_first_word


@given(st.lists(st.text(max_size=5)), st.integers(1, 20), st.sampled_from([0, 0.001]))
def test_all_items_come_in_order(items, limit, wait_s):
    lists = list(batches_in_time(items, len, limit, wait_s))
    assert [item for batch in lists for item in batch] == items
    assert all(lists)
    assert all(sum(map(len, batch[:-1])) < limit for batch in lists)


def test_item_does_not_wait_for_one_that_does_not_come():
    more = threading.Event()

    def items():
        yield "first"
        assert more.wait(30)
        yield "second"

    lists = batches_in_time(items(), len, 1000, 0.01)
    assert next(lists) == ["first"]
    more.set()
    assert list(lists) == [["second"]]


def test_reads_no_further_ahead_than_the_limit():
    taken = []
    full = threading.Event()

    def items():
        for number in range(100):
            taken.append(number)
            if number == 3:
                full.set()
            yield "x" * 10

    lists = batches_in_time(items(), len, 20, 0)
    first = next(lists)
    assert full.wait(1) or len(first) == 1
    lists.close()
    assert len(taken) < 8


def test_error_comes_after_the_items_before_it():
    def items():
        yield "a"
        raise KeyError("broken")

    lists = batches_in_time(items(), len, 10, 60)
    assert next(lists) == ["a"]
    with pytest.raises(KeyError):
        next(lists)


def test_outcomes_are_those_of_a_run_that_is_not_live(monkeypatch):
    monkeypatch.setattr(pipeline, "_stages", lambda: (by_first_word,))
    items = [Item(Record(str(n), text), "in", n) for n, text in enumerate(["EN One", "CRASH", "ES Dos", "\ud800"])]
    live, plain = (list(analyse(iter(items), Config(), wait_s)) for wait_s in (0.0, None))
    assert list(map(str, live)) == list(map(str, plain))


def test_each_line_is_answered_before_the_next_one_is_sent():
    command = [sys.executable, "-m", "filter", "run", "-", "--from", "jsonl", "-o", "-"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        for number in range(3):
            process.stdin.write(json.dumps({"id": str(number), "text": "The court met on Monday."}).encode() + b"\n")
            process.stdin.flush()
            # This would wait for ever if the line waited for others, or for the end of the input.
            assert json.loads(process.stdout.readline())["id"] == str(number)
        process.stdin.write(b"{\n" * 30)
        process.stdin.close()
        assert process.stdout.read() == b""
        said = process.stderr.read().decode()
        assert process.wait() == 1
    assert said.count("not JSON") == 30


def test_live_filter_ends_when_it_is_stopped():
    command = [sys.executable, "-m", "filter", "run", "-", "--from", "jsonl", "-o", "-"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdin.write(b'{"text": "The court met on Monday."}\n')
        process.stdin.flush()
        assert process.stdout.readline()
        process.terminate()
        assert process.wait(30) == 143
        assert process.stderr.read() == b""


def test_documents_are_flushed_one_by_one(tmp_path):
    from .test_writers import ITEM, document

    read, write = os.pipe()
    with os.fdopen(write, "wb") as stream, os.fdopen(read, "rb") as answers, StreamWriter(stream) as writer:
        writer.write(document(), ITEM)
        assert json.loads(answers.readline())["parent"] == "a"
