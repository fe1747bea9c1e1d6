"""A stage that decides by the first word of a line: fast, and never changed by a better model."""

import contextlib
import os
import signal
import time
from dataclasses import replace

import numpy as np

from filter import pipeline, workers
from filter.errors import ModelError

LABELS = {
    "AD": ("boilerplate", "advertising"),
    "PAD": ("ai_padding", ""),
    "SPAM": ("spam", ""),
    "LOW": ("low_quality", ""),
}
LANGS = {"EN": "en", "ES": "es", "FR": "fr"}


def by_first_word(documents, config):
    return [document.with_spans(_judged(document, span) for span in document.spans) for document in documents]


def _judged(document, span):
    first = (document.text[span.start : span.end].split() or [""])[0]
    if first == "CRASH":
        raise RuntimeError("the toy\nbroke")
    if first in LABELS:
        label, category = LABELS[first]
        return replace(
            span,
            label=label,
            category=category,
            lang="en",
            score=0.9,
            source=f"rule:toy/{label}",
            reasons=("first word",),
        )
    return replace(span, lang=LANGS.get(first, "und"))


def toy_worker(shard, attempt, tell):
    """Do what a worker does, with the stage of this file, and with records that are deadly in their own ways."""
    pipeline._stages = lambda: (_deadly, by_first_word)
    return workers.work_in_child(shard, attempt, tell)


def _deadly(documents, config):
    for document in documents:
        first, _, rest = document.text.partition(" ")
        if first == "KILL":
            os.kill(os.getpid(), signal.SIGKILL)
        if first == "MODEL":
            raise ModelError("models/toy.npz: missing")
        if first == "HANG":
            time.sleep(1000)
        if first == "STOP":
            os.kill(os.getpid(), signal.SIGSTOP)
        if first == "FILL":
            np.ones(10**9)
        if first == "ONCE":  # rest: a file that tells that it has happened
            with contextlib.suppress(FileExistsError):
                os.close(os.open(rest.strip(), os.O_CREAT | os.O_EXCL))
                os.kill(os.getpid(), signal.SIGKILL)
        if first == "SLOW":
            time.sleep(0.2)
    return documents
