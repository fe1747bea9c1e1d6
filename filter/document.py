"""The types that carry everything: Record, Span, Document, Part, Verdict and Policy.

Analysing a document gives a lossless partition of its text into spans. All offsets are code points of
`Document.text`, half-open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import lt
from typing import Any, Literal, NamedTuple

__all__ = [
    "ACTIONS",
    "CATEGORIES",
    "LABELS",
    "Action",
    "Document",
    "Label",
    "Part",
    "PartNote",
    "Policy",
    "Record",
    "Span",
    "Verdict",
]

Label = Literal["content", "boilerplate", "ai_padding", "spam", "low_quality"]
Action = Literal["strip", "flag", "keep"]

LABELS: tuple[Label, ...] = ("content", "boilerplate", "ai_padding", "spam", "low_quality")
ACTIONS: tuple[Action, ...] = ("strip", "flag", "keep")
CATEGORIES: tuple[str, ...] = (
    "paywall",
    "consent",
    "newsletter",
    "advertising",
    "social",
    "comments",
    "navigation",
    "related",
    "legal",
    "metadata",
    "embed",
)
"""What kind of boilerplate a span is."""

UNDETERMINED = "und"
NO_LANGUAGE = "zxx"


@dataclass(frozen=True, slots=True)
class Policy:
    """What is done with each label; a view of the analysis, not a property of it.

    `strip` leaves a span out of the output and keeps it in the record of removals, `flag` leaves it in the text and
    lists it, `keep` leaves it in the text and says nothing. Content is always kept.
    """

    boilerplate: Action = "strip"
    ai_padding: Action = "flag"
    spam: Action = "flag"
    low_quality: Action = "flag"

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) not in ACTIONS:
                raise ValueError(f"policy {name} = {getattr(self, name)!r}: use one of {', '.join(ACTIONS)}")

    def action(self, label: Label) -> Action:
        """Return what is done with a label.

        >>> Policy().action("boilerplate"), Policy().action("spam"), Policy().action("content")
        ('strip', 'flag', 'keep')
        """
        return "keep" if label == "content" else getattr(self, label)


@dataclass(frozen=True, slots=True)
class Record:
    """One input item as it was read: either text that something else extracted, or a page of HTML.

    Attributes:
        id: the caller's name for it; may be empty.
        text: the text, exactly as it stands in the input.
        html: the page, as str or as undecoded bytes.
        url: the address it came from.
        meta: the input's other fields, carried along untouched.

    Raises:
        ValueError: both or neither of text and html are given.
    """

    id: str = ""
    text: str | None = None
    html: str | bytes | None = None
    url: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.text is None) == (self.html is None):
            raise ValueError(f"record {self.id!r} needs exactly one of text and html")


@dataclass(frozen=True, slots=True)
class Span:
    """A labelled stretch `[start, end)` of a document's text.

    Attributes:
        start, end: code points of `Document.text`, half-open.
        label: one of LABELS.
        lang: BCP 47 tag; `und` undetermined, `zxx` no language (numbers, addresses).
        score: how sure the decision is, in [0, 1].
        source: what decided: `rule:<pack>/<id>`, `model:lines`, `model:sections`, `site:<host>`, `repeat`,
            `review` (a person) or `default`.
        category: for boilerplate, one of CATEGORIES; else empty.
        reasons: the decision in words, most telling first; may be empty.
    """

    start: int
    end: int
    label: Label = "content"
    lang: str = UNDETERMINED
    score: float = 0.0
    source: str = "default"
    category: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a document is worth keeping, and if not, why."""

    keep: bool = True
    reasons: tuple[str, ...] = ()


class PartNote(NamedTuple):
    """What is known of a part besides its text; the fields are those of Part."""

    translation_of: str | None = None
    translation_score: float | None = None
    second_opinion: str | None = None
    verdict: Verdict = Verdict()
    measures: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """The kept text of a document in one language.

    Attributes:
        lang: BCP 47 tag of the part.
        text: the slices `kept` of the document's text, joined.
        spans: the document's kept spans that belong to this part, in order.
        kept: the slices `(start, end)`, in order and apart. They are the spans, and, where a removed or other-language
            stretch on the same line took the line break with it, that line break too: so two parts may share one.
        translation_of: the language of an earlier part that says the same; which of them is the original is not known.
        translation_score: how sure that is, in [0, 1].
        second_opinion: what langdetect says of the language: `agrees`, `differs: xx` or `unsupported`; if asked for.
        verdict: whether the options ask for this part, and if not, why.
        measures: numbers about the quality of its text, from `filter.quality`; if asked for.
    """

    lang: str
    text: str
    spans: tuple[Span, ...]
    kept: tuple[tuple[int, int], ...]
    translation_of: str | None = None
    translation_score: float | None = None
    second_opinion: str | None = None
    verdict: Verdict = field(default_factory=Verdict)
    measures: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its partition into spans.

    Attributes:
        text: the text as read (for HTML: as extracted); no stage changes it.
        spans: ordered and tiling: the first starts at 0, each starts where the one before ends, the last ends at
            `len(text)`.
        id, url, meta: as in the record.
        verdict: keep or drop, and why.
        policy: what `removed`, `flagged` and `parts()` do with each label unless told otherwise.
        notes: what is known of each part, by language.
        review: content spans that people should look at, as they would be labelled if the model were bolder: an
            annotation beside the partition, in which they stay content; None when nobody asked.
    """

    text: str
    spans: tuple[Span, ...] = ()
    id: str = ""
    url: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    verdict: Verdict = field(default_factory=Verdict)
    policy: Policy = field(default_factory=Policy)
    notes: Mapping[str, PartNote] = field(default_factory=dict)
    review: tuple[Span, ...] | None = None

    def with_spans(self, spans: Iterable[Span]) -> Document:
        """Return the document with another partition of the same text.

        Raises:
            ValueError: the spans do not tile the text; this would lose or double text.
        """
        spans = tuple(spans)
        _check_tiling(self, spans)
        return replace(self, spans=spans)

    @property
    def removed(self) -> tuple[Span, ...]:
        """The spans that the policy leaves out of the output, in order."""
        return tuple(span for span in self.spans if self.policy.action(span.label) == "strip")

    @property
    def flagged(self) -> tuple[Span, ...]:
        """The spans that stay in the output and are listed as flagged, in order."""
        return tuple(span for span in self.spans if self.policy.action(span.label) == "flag")

    def parts(self, policy: Policy | None = None) -> list[Part]:
        r"""Return the kept text, one part per language in order of first appearance.

        A span without a language (numbers, addresses, undetermined) joins the part before it, or the first one.
        Boilerplate that the policy keeps does so too where there is anything else: a consent banner does not make a
        document of its own.

        Args:
            policy: what to do with each label; by default the document's own.

        Returns:
            No part when nothing is kept.

        >>> spans = (Span(0, 6, lang="en"), Span(6, 13, "boilerplate", lang="en"), Span(13, 21, lang="es"))
        >>> [(part.lang, part.text) for part in Document("Hello\nAdvert\n¡Hola!\n\n", spans).parts()]
        [('en', 'Hello\n'), ('es', '¡Hola!\n\n')]
        """
        policy = policy or self.policy
        kept = [span for span in self.spans if policy.action(span.label) != "strip"]
        carriers = {i for i, span in enumerate(kept) if span.lang not in (UNDETERMINED, NO_LANGUAGE)}
        carriers = {i for i in carriers if kept[i].label != "boilerplate"} or carriers
        groups: dict[str, list[Span]] = {}
        lang = kept[min(carriers)].lang if carriers else UNDETERMINED
        for i, span in enumerate(kept):
            if i in carriers:
                lang = span.lang
            groups.setdefault(lang, []).append(span)
        return [self._part(lang, spans) for lang, spans in groups.items()]

    def _part(self, lang: str, spans: Sequence[Span]) -> Part:
        kept = tuple(self._slices(spans))
        text = "".join(self.text[start:end] for start, end in kept)
        return Part(lang, text, tuple(spans), kept, *self.notes.get(lang, PartNote()))

    def _slices(self, spans: Sequence[Span]) -> Iterator[tuple[int, int]]:
        """Merge touching spans, and bring along a line break that stood between two others."""
        start, end = spans[0].start, spans[0].end
        for span in spans[1:]:
            if span.start > end:
                line_break = self._line_break(end, span.start) if not self._ends_line(start, end) else None
                yield start, end
                start = span.start
                # Two pieces that stood on different lines must not run together on one.
                if line_break and line_break[1] < start:
                    yield line_break
                elif line_break:
                    start = line_break[0]
            end = span.end
        yield start, end

    def _ends_line(self, start: int, end: int) -> bool:
        piece = self.text[start:end]
        return any(mark in piece[len(piece.rstrip()) :] for mark in "\r\n")

    def _line_break(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the last line break in [start, end)."""
        last = max(self.text.rfind(mark, start, end) for mark in "\r\n")
        if last < 0:
            return None
        first = last
        while first > start and self.text[first - 1] in "\r\n":
            first -= 1
        return first, last + 1


def _check_tiling(document: Document, spans: Sequence[Span]) -> None:
    edges = [0, *(span.end for span in spans)]
    at = edges[-1]
    if edges[:-1] != [span.start for span in spans] or not all(map(lt, edges, edges[1:])):
        at, span = next(
            (at, span) for at, span in zip(edges, spans, strict=False) if span.start != at or span.end <= span.start
        )
        raise ValueError(f"document {document.id!r}: span [{span.start}, {span.end}) does not follow offset {at}")
    if at != len(document.text):
        raise ValueError(f"document {document.id!r}: spans end at {at}, the text at {len(document.text)}")
