"""What a run says of itself: bars on a terminal, lines of JSON, a file of metrics, a summary. It decides nothing."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from heapq import nlargest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .batch import Outcome
from .readers import Rejection
from .shards import Beat, Result, Shard, Slow, write_whole
from .writers import Summary, part_records

if TYPE_CHECKING:
    from rich.progress import Progress

    from .explain import Row
    from .workers import Done

__all__ = ["SHOWN", "Report"]

SHOWN = 20
"""So many inputs that cannot be used are named."""
_SHOWN_DOCUMENTS = 20
_SHOWN_SLOWEST = 5
_MIN_WIDTH = 60
"""Columns of a terminal below which no tables are printed."""
_REFRESH_S = 0.25
_METRICS_S = 10.0


class Report:
    """Says on standard error how a run goes, and what it came to; a `with` block takes the bars away at its end.

    Args:
        shown: how many inputs that cannot be used are named; None for all.
        log_json: whether to write one JSON object on a line for each event, and nothing else.
        metrics: a file for counts in the text format of Prometheus; written anew every few seconds, always whole.
    """

    def __init__(self, *, shown: int | None = SHOWN, log_json: bool = False, metrics: Path | None = None) -> None:
        self.rejections = 0
        self._named = shown
        self._log_json = log_json
        self._metrics = metrics
        self._rows: list[Row] = []
        self._slowest: tuple[Slow, ...] = ()
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._shown = self._stored = 0.0
        self._beats: dict[int, Beat] = {}
        self._counts = {"documents": 0, "rejected": 0, "chars": 0, "shards": 0, "shards_done": 0, "bytes_done": 0}
        self._bars: Progress | None = None

    def __enter__(self) -> Report:
        self._store()  # better to fail now than at the end
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        self._take_bars_away()
        if kind is not None:
            with suppress(OSError):
                self._store()

    def begin(self, shards: int, done: int, size: int) -> None:
        """Say that work begins.

        Args:
            shards: of the run.
            done: of these, done before.
            size: bytes of input that are left to do.
        """
        self._counts.update(shards=shards, shards_done=done)
        self._log("begin", shards=shards, shards_done=done, bytes=size)
        if not self._log_json and sys.stderr is not None and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                BarColumn(),
                DownloadColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[facts]}", markup=False),
            )
            self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bars.add_task("", total=size, facts="loading models")
            self._bars.start()

    def hear(self, shard: Shard, beat: Beat) -> None:
        """Take note of how far the work on a shard is; may be called from any thread."""
        with self._lock:
            before = self._beats.get(shard.number, Beat())
            self._beats[shard.number] = beat
            for name in ("documents", "rejected", "chars"):
                self._counts[name] += getattr(beat, name) - getattr(before, name)
            self._refresh()

    def done(self, done: Done) -> None:
        """Take note that a shard is done."""
        self.hear(*done)
        with self._lock:
            del self._beats[done.shard.number]
            self._slowest = tuple(nlargest(_SHOWN_SLOWEST, (*self._slowest, *done.beat.slowest)))
            self._counts["shards_done"] += 1
            self._counts["bytes_done"] += done.shard.size
            self._refresh()
        beat = done.beat
        facts = {"documents": beat.documents, "rejected": beat.rejected, "chars": beat.chars}
        self._log("shard_done", shard=done.shard.number, **facts)

    def _refresh(self) -> None:
        now = time.monotonic()
        if self._bars is not None and now - self._shown > _REFRESH_S:
            self._shown = now
            self._bars.update(self._bars.task_ids[0], completed=self._counts["bytes_done"], facts=self._facts())
        if now - self._stored > _METRICS_S:
            self._stored = now
            with suppress(OSError):  # no reason to stop the work; if it lasts, the end says so
                self._store()

    def _facts(self) -> str:
        seconds = max(time.monotonic() - self._started, 1e-3)
        counts = self._counts
        facts = [
            f"{counts['documents']:,} documents",
            f"{counts['documents'] / seconds:.1f}/s",
            f"{counts['chars'] / seconds / 1e6:.2f} M characters/s",
            f"{counts['rejected']:,} set aside",
        ]
        return " · ".join(facts)

    def _take_bars_away(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def outcome(self, outcome: Outcome) -> None:
        """Take note of what one input of a run without shards came to."""
        if isinstance(outcome, Rejection):
            self._counts["rejected"] += 1
            self.reject(outcome)
            return
        self._counts["documents"] += 1
        self._counts["chars"] += len(outcome.document.text)
        if self._has_room():
            self._add_row(part_records(outcome.document, outcome.item, str))
        with self._lock:
            self._refresh()

    def joined(self, result: Result | Rejection) -> None:
        """Take note of what one input came to, when the results of shards are joined."""
        if isinstance(result, Rejection):
            self.reject(result)
        elif self._has_room():
            self._add_row(result.records)

    def _has_room(self) -> bool:
        # One more than are shown, to know that there are more.
        return len(self._rows) <= _SHOWN_DOCUMENTS

    def _add_row(self, records: Sequence[Mapping[str, Any]]) -> None:
        from .explain import summary_row

        self._rows.append(summary_row(records))

    def reject(self, rejection: Rejection) -> None:
        """Name an input that cannot be used, if not too many were named before."""
        self.rejections += 1
        error = rejection.error
        self._log("rejected", path=error.path, line=error.line, reason=error.reason, remedy=error.remedy)
        if self._named is None or self.rejections <= self._named:
            self.say(str(error))

    def say_how_many_more(self) -> None:
        """Say how many inputs were set aside without being named."""
        more = 0 if self._named is None else self.rejections - self._named
        if more > 0:
            self.say(f"and {more:,} more inputs set aside")

    def say(self, message: str) -> None:
        """Print a line for people."""
        if not self._log_json:
            self._take_bars_away()
            print(f"textsieve: {message}", file=sys.stderr)

    def finish(self, summary: Summary, folder: str | None) -> None:
        """Say what the run came to.

        Raises:
            OSError: the file of metrics cannot be written.
        """
        self._take_bars_away()
        self._counts.update(documents=summary.documents, rejected=summary.rejected, chars=summary.chars)
        slowest = [slow._asdict() for slow in self._slowest]
        self._log("end", **summary.as_dict(), slowest=slowest, seconds=round(time.monotonic() - self._started, 3))
        self._store(summary)
        self.say_how_many_more()
        if not self._log_json:
            self._print(summary, folder)

    def _print(self, summary: Summary, folder: str | None) -> None:
        from rich.console import Console

        from .explain import counts_table, summary_table

        console = Console(stderr=True, highlight=False)
        if console.width < _MIN_WIDTH:
            pass  # a table would be nothing but ellipses
        elif 0 < len(self._rows) <= _SHOWN_DOCUMENTS:
            console.print(summary_table(self._rows))
        elif console.is_terminal:
            slowest = {f"{place(slow)}": f"{slow.seconds:.1f} s" for slow in self._slowest}
            console.print(counts_table(summary, slowest))
        parts = ", ".join(f"{lang} {count:,}" for lang, count in sorted(summary.parts.items())) or "none"
        facts = [
            f"{summary.documents:,} document{'s' * (summary.documents != 1)}",
            f"parts: {parts}",
            f"removed {sum(summary.removed_chars.values()):,} of {summary.chars:,} characters",
            f"flagged {sum(summary.flagged_chars.values()):,}",
            f"dropped {summary.dropped:,}",
            f"set aside {summary.rejected:,}",
        ]
        console.print("; ".join(facts) + (f"; results in {folder}" if folder else ""), markup=False, soft_wrap=True)

    def _log(self, event: str, **facts: Any) -> None:
        if self._log_json:
            now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            line = json.dumps({"time": now, "event": event, **facts}, ensure_ascii=False)
            with self._lock:
                print(line, file=sys.stderr, flush=True)

    def _store(self, summary: Summary | None = None) -> None:
        """Write the file of metrics: https://prometheus.io/docs/instrumenting/exposition_formats/."""
        if self._metrics is None:
            return
        lines = []
        counts = {**self._counts, "seconds": round(time.monotonic() - self._started, 3)}
        for name, value in counts.items():
            kind = "gauge" if name == "shards" else "counter"
            name = f"textsieve_{name}" if kind == "gauge" else f"textsieve_{name}_total"
            lines += [f"# TYPE {name} {kind}", f"{name} {value}"]
        if summary is not None:
            for name, label, counter in (
                ("parts", "lang", summary.parts),
                ("removed_chars", "category", summary.removed_chars),
                ("flags", "label", summary.flags),
            ):
                lines.append(f"# TYPE textsieve_{name}_total counter")
                lines += [
                    f'textsieve_{name}_total{{{label}="{key}"}} {value}' for key, value in sorted(counter.items())
                ]
        write_whole(self._metrics, "\n".join([*lines, ""]).encode())


def place(slow: Slow) -> str:
    """Return where a document stands, for people."""
    return slow.path if slow.line is None else f"{slow.path}:{slow.line}"
