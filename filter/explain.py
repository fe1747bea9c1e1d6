"""A document in the terminal: every span with its label, language, score and cause. It decides nothing."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.rule import Rule
from rich.style import Style
from rich.table import Table
from rich.text import Text

from .document import Document, Label, Span

if TYPE_CHECKING:
    from .writers import Summary

__all__ = [
    "LABEL_NAMES",
    "Row",
    "console_for",
    "counts_table",
    "legend",
    "picture",
    "render",
    "summary_row",
    "summary_table",
    "visible",
]

_COLOURS: dict[Label, str] = {
    "content": "green",
    "boilerplate": "red",
    "ai_padding": "magenta",
    "spam": "yellow",
    "low_quality": "cyan",
}
LABEL_NAMES: dict[Label, str] = {
    "content": "content",
    "boilerplate": "boilerplate",
    "ai_padding": "AI padding",
    "spam": "spam",
    "low_quality": "low quality",
}
_BARS = {"keep": "│", "flag": "┃", "strip": "╳"}
_DEEDS = {"keep": "kept", "flag": "kept and flagged", "strip": "removed"}
_GUTTER = 21
_MIN_WIDTH = 10
# Shown as a picture, not obeyed: a text must not move the cursor or turn the reading direction.
_VISIBLE = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
_VISIBLE |= dict.fromkeys((*range(128, 160), *range(8234, 8239), *range(8294, 8298)), 65533)


def console_for(width: int | None = None, *, color: bool = True, record: bool = False) -> Console:
    """Return a console for `render`.

    Args:
        width: columns; by default those of the terminal.
        color: False leaves out every escape code.
        record: write nothing, and keep what is printed for `Console.export_svg`.
    """
    file = io.StringIO() if record else None
    system: Literal["auto", "truecolor"] | None = "truecolor" if record else "auto" if color else None
    return Console(
        file=file, width=width, color_system=system, force_terminal=record or None, record=record, highlight=False
    )


def picture(console: Console) -> str:
    """Return what a console recorded as SVG, in fonts that are there: rich would have the viewer fetch one."""
    return re.sub(r"@font-face \{[^}]*\}\s*", "", console.export_svg(title="textsieve explain"))


def legend(document: Document) -> Text:
    """Return two lines that say what the colours and bars mean."""
    labels = Text("  ").join(
        Text(f"{_BARS[document.policy.action(label)]} {name}", Style(color=_COLOURS[label], bold=True))
        for label, name in LABEL_NAMES.items()
    )
    deeds = "  ".join(f"{bar} {_DEEDS[action]}" for action, bar in _BARS.items())
    return Text.assemble(labels, "\n", (deeds, "dim"), "\n")


def render(document: Document) -> RenderableType:
    """Return a document as it is printed: a heading, then each span with label, language and score in front.

    Below the text of a span that something decided on stand the cause and the reasons.
    """
    blocks = [_Block(document, spans) for spans in _blocks(document)]
    return Group(_heading(document), Text(), *blocks)


def _heading(document: Document) -> RenderableType:
    verdict = document.verdict
    removed = sum(span.end - span.start for span in document.removed)
    flagged = sum(span.end - span.start for span in document.flagged)
    facts = Text()
    facts.append("keep " if verdict.keep else "drop ", "bold green" if verdict.keep else "bold red")
    if verdict.reasons:
        facts.append(f"({visible('; '.join(verdict.reasons))}) ")
    parts = ", ".join(
        _size_of(part.lang, part.text, part.translation_of, part.translation_score) for part in document.parts()
    )
    facts.append(f"· {len(document.text):,} characters · parts: {parts or 'none'} ", "dim")
    if removed:
        facts.append(f"· removed {removed:,} ", _COLOURS["boilerplate"])
    if flagged:
        facts.append(f"· flagged {flagged:,}", _COLOURS["ai_padding"])
    return Group(Rule(Text(visible(document.id) or "document", "bold"), align="left", style="dim"), facts)


def _size_of(lang: str, text: str, original: str | None, score: float | None) -> str:
    """Return a part's language and characters, and which part it translates."""
    return f"{lang} {len(text):,}" + (f" (translates {original}, {score:.2f})" if original else "")


def _blocks(document: Document) -> Iterator[list[Span]]:
    """Group spans that follow one another and say the same, so that their gutter stands once."""

    def key(span: Span) -> tuple[object, ...]:
        weak = review.get(span.start)
        is_marked = span.label != "content"
        noted = (weak.label, weak.reasons, weak.score) if weak else None
        return span.label, span.lang, span.category, span.source, span.reasons, is_marked and span.score, noted

    review = {span.start: span for span in document.review or ()}
    for _, spans in groupby(document.spans, key=key):
        yield list(spans)


class _Block:
    """Spans of one label, language and cause: a gutter, a bar, and the text wrapped beside them."""

    def __init__(self, document: Document, spans: list[Span]) -> None:
        self.document = document
        self.spans = spans

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        first = self.spans[0]
        colour = _COLOURS[first.label]
        action = self.document.policy.action(first.label)
        gutter = self._gutter(colour)
        lines = self._lines(console, max(_MIN_WIDTH, options.max_width - _GUTTER - 2), action)
        bar = Text(f"{_BARS[action]} ", Style(color=colour, bold=action != "keep"))
        for number in range(max(len(gutter), len(lines))):
            front = gutter[number] if number < len(gutter) else Text()
            front.truncate(_GUTTER - 1, overflow="ellipsis")
            front.pad_right(_GUTTER - front.cell_len)
            body = lines[number] if number < len(lines) else Text()
            line = Text.assemble(front, bar, body, no_wrap=True, overflow="ignore")
            line.rstrip()
            yield line
        yield Text()

    def _gutter(self, colour: str) -> list[Text]:
        span = self.spans[0]
        top = Text(LABEL_NAMES[span.label], Style(color=colour, bold=True))
        facts = [span.category] if span.category else []
        facts.append(span.lang)
        if span.label != "content":
            facts.append(f"{span.score:.2f}")
        return [top, Text(" ".join(facts), "dim")]

    def _lines(self, console: Console, width: int, action: str) -> list[Text]:
        span = self.spans[0]
        colour = _COLOURS[span.label]
        style = {"keep": Style(), "flag": Style(color=colour), "strip": Style(color=colour, strike=True)}[action]
        lines: list[Text] = []
        for number, span in enumerate(self.spans):
            text = self.document.text[span.start : span.end]
            body = Text(visible(text.strip()), style) if text.strip() else Text("(blank)", "dim italic")
            lines += body.wrap(console, width, tab_size=4)
            has_blank_line = text[len(text.rstrip()) :].count("\n") > 1
            if has_blank_line and number < len(self.spans) - 1:
                lines.append(Text())
        weak = next((weak for weak in self.document.review or () if weak.start == span.start), None)
        if weak is not None:
            reasons = f" — {'; '.join(weak.reasons)}" if weak.reasons else ""
            note = f"? {LABEL_NAMES[weak.label]} {weak.score:.2f}, to look at{reasons}"
            lines += Text(visible(note), "italic dim").wrap(console, width)
        if span.label != "content":
            reasons = f" — {'; '.join(span.reasons)}" if span.reasons else ""
            cause = Text(f"↳ {visible(span.source + reasons)}", "italic dim")
            lines += cause.wrap(console, width)
        return lines


class Row(NamedTuple):
    """What is printed of one document after a run, as text: small, whatever the size of the document."""

    document: str
    parts: str
    removed: str
    flagged: str


def summary_row(records: Sequence[Mapping[str, Any]]) -> Row:
    """Return a document's parts, removals by category and flags by label, counted in characters.

    Args:
        records: all output records of the document.
    """
    langs = {record["id"]: record["lang"] for record in records}
    parts = [
        _size_of(record["lang"], record["text"], langs.get(record["translation_of"]), record["translation_score"])
        for record in records
        if record["kept"]
    ] or ["none"]
    if not any(record["verdict"]["keep"] for record in records):
        reasons = dict.fromkeys(reason for record in records for reason in record["verdict"]["reasons"])
        parts.append(f"dropped: {visible('; '.join(reasons))}")
    return Row(
        visible(records[0]["parent"]),
        "\n".join(parts),
        _counts((span["category"] or span["label"], span) for record in records for span in record["removed"]),
        _counts((span["label"], span) for record in records for span in record["flags"]),
    )


def summary_table(rows: Iterable[Row]) -> Table:
    """Return a table with one line for each document."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("document", no_wrap=True, overflow="ellipsis", max_width=32)
    table.add_column("parts")
    table.add_column("removed characters", style=_COLOURS["boilerplate"])
    table.add_column("flagged characters", style=_COLOURS["ai_padding"])
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def counts_table(summary: Summary, slowest: Mapping[str, str]) -> Table:
    """Return what a run came to, for more documents than can be listed.

    Args:
        summary: its counts.
        slowest: how long the slowest documents took.
    """
    table = Table(box=SIMPLE_HEAD)
    for title in ("parts by language", "characters removed", "flags", "slowest documents, about"):
        table.add_column(title)
    cells = (dict(summary.parts.most_common(20)), summary.removed_chars, summary.flags, slowest)
    table.add_row(*(Text("\n".join(_counted(name, count) for name, count in cell.items())) for cell in cells))
    return table


def _counted(name: str, count: int | str) -> str:
    return f"{visible(name)} {count:,}" if isinstance(count, int) else f"{visible(name)} {count}"


def _counts(spans: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    chars: Counter[str] = Counter()
    for name, span in spans:
        chars[name] += span["end"] - span["start"]
    return "\n".join(f"{name} {count:,}" for name, count in sorted(chars.items())) or "-"


def visible(text: str) -> str:
    r"""Return a text with pictures in place of control characters.

    >>> visible("a\x1b[2Jb\r\nc")
    'a␛[2Jb\nc'
    """
    return text.replace("\r\n", "\n").translate(_VISIBLE)
