"""A whole run: read, analyse in batches, write; one bad input never stops the others."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .batches import batches
from .config import Config
from .document import Document
from .errors import InputError, TextsieveError, UsageError
from .live import batches_in_time
from .pipeline import prepare, run_stages
from .readers import MAX_RAW_CHARS, Item, Rejection
from .writers import Summary, Writer

__all__ = ["Analysed", "Outcome", "analyse", "check_read", "prepare_items", "rejection", "run"]


@dataclass(frozen=True, slots=True)
class Analysed:
    """A document after every stage, and the item it was made from."""

    document: Document
    item: Item


Outcome = Analysed | Rejection


def analyse(items: Iterable[Item | Rejection], config: Config, max_wait_s: float | None = None) -> Iterator[Outcome]:
    """Yield each item analysed, or why it cannot be; in order, reading ahead no more than `config.batch_chars` of text.

    Args:
        items: from a `Reader`.
        config: what to do.
        max_wait_s: for a live filter, how long an item may wait for others to be analysed with it, in seconds; the
            items are then read in another thread.

    Raises:
        TextsieveError: a rule pack or model cannot be used, which would fail every document.
    """
    gathered: Iterable[list[Outcome]]
    if max_wait_s is None:
        gathered = batches(prepare_items(items, config), _chars, config.batch_chars)
    else:
        waiting = batches_in_time(items, _item_chars, config.batch_chars, max_wait_s)
        gathered = (list(prepare_items(batch, config)) for batch in waiting)
    for batch in gathered:
        yield from _analysed(batch, config)


_REJECTION_CHARS = 1000
"""What a rejection counts for, so that a million of them do not gather either."""


def _chars(outcome: Outcome) -> int:
    return len(outcome.document.text) if isinstance(outcome, Analysed) else _REJECTION_CHARS


def _item_chars(item: Item | Rejection) -> int:
    if isinstance(item, Rejection):
        return _REJECTION_CHARS
    return len(item.record.html or "") if item.record.text is None else len(item.record.text)


def run(
    items: Iterable[Item | Rejection],
    writer: Writer,
    config: Config,
    report: Callable[[Outcome], None] = lambda outcome: None,
    max_wait_s: float | None = None,
) -> Summary:
    """Write every item analysed, and return the counts.

    Args:
        items: from a `Reader`.
        writer: entered already; it is left to the caller to close it.
        config: what to do.
        report: told each outcome as it comes.
        max_wait_s: as for `analyse`.

    Raises:
        UsageError: nothing at all could be read.
    """
    for outcome in analyse(items, config, max_wait_s):
        if isinstance(outcome, Analysed):
            try:
                writer.write(outcome.document, outcome.item)
            except InputError as error:
                outcome = rejection(outcome.item, error)
        if isinstance(outcome, Rejection):
            writer.reject(outcome)
        report(outcome)
    check_read(writer.summary)
    return writer.summary


def check_read(summary: Summary) -> None:
    """Check that a run read anything.

    Raises:
        UsageError: nothing at all could be read.
    """
    if summary.rejected == summary.unreadable and not summary.documents:
        raise UsageError("nothing could be read; name files or folders that exist")


def prepare_items(items: Iterable[Item | Rejection], config: Config) -> Iterator[Outcome]:
    """Yield each item as a document that no stage has judged, or why it cannot be used; in order."""
    for item in items:
        yield item if isinstance(item, Rejection) else _prepared(item, config)


def _prepared(item: Item, config: Config) -> Outcome:
    try:
        document = prepare(item.record, config)
        if item.record.html is not None:
            # A page is many times as large as its text, and has served: a batch of texts must not hold their pages.
            item = replace(item, record=replace(item.record, text=document.text, html=None))
        return Analysed(document, item)
    except InputError as error:
        return rejection(item, error)
    except (TextsieveError, ImportError, MemoryError):  # no fault of the document
        raise
    except Exception as error:
        return rejection(item, _internal(error))


def _analysed(outcomes: list[Outcome], config: Config) -> Iterator[Outcome]:
    analysed = [outcome for outcome in outcomes if isinstance(outcome, Analysed)]
    try:
        documents = iter(run_stages([outcome.document for outcome in analysed], config) if analysed else ())
    except (TextsieveError, ImportError, MemoryError):  # no fault of the documents
        raise
    except Exception as error:
        if len(outcomes) > 1:
            # One document fails; by themselves, the others will not.
            for outcome in outcomes:
                yield from _analysed([outcome], config)
        else:
            yield rejection(analysed[0].item, _internal(error))
        return
    for outcome in outcomes:
        yield Analysed(next(documents), outcome.item) if isinstance(outcome, Analysed) else outcome


def _internal(error: Exception) -> InputError:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    reason = f"a fault in textsieve ({type(error).__name__}: {error}, {Path(frame.filename).name}:{frame.lineno})"
    return InputError(" ".join(reason.split()), remedy="report it together with this input")


def rejection(item: Item, error: InputError) -> Rejection:
    """Return the rejection of an item, with the place of the item and, if it is short, its text."""
    raw = item.record.html if item.record.text is None else item.record.text
    placed = InputError(error.reason, path=item.path, line=item.line, remedy=error.remedy)
    return Rejection(placed, raw if isinstance(raw, str) and len(raw) <= MAX_RAW_CHARS else None)
