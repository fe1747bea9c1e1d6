"""A stage that decides by the first word of a line: fast, and never changed by a better model."""

from dataclasses import replace

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
