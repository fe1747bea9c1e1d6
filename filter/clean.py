"""Marks boilerplate: rules and structure first, then what is known of the site, then the learned line model.

Each line is judged alone, then the unsure ones are settled by their neighbours. Every mark names its cause in
`source`, and says it in words in `reasons`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .config import Config, Preset
from .document import Document, Label, Span
from .folding import GLUED, fold_lines, words_in, words_in_each
from .lines import DOUBTS, line_scores, threshold
from .profiles import MIN_SCORES, load_profiles, mark_site_lines
from .rules import Match, Rules, load_packs

__all__ = ["clean", "is_code", "is_doubtful", "is_spared", "mark"]

PLEAS = frozenset({"paywall", "consent", "newsletter", "comments"})
"""Categories that come as blocks of sentences addressed to the reader."""

CHROME = frozenset({*PLEAS, "social", "navigation", "legal"})
"""Categories that come as blocks of short lines; advertisements and links to articles stand alone among prose."""

MAX_HEADING_CHARS = 33
MAX_LIST_LINES = 40
MAX_NUMBER_CHARS = 9
MAX_TAG_WORDS = 4
MAX_WEAK_DISTANCE = 2
MAX_BETWEEN_LINES = 3
MAX_BETWEEN_WORDS = 6
MIN_REPEATS = 3
MAX_REPEATED_WORDS = 6
LONG_PROSE_WORDS = 25
MIN_HEADLINE_WORDS = 5
MIN_SENTENCE_WORDS = 8
MIN_STEMS = 2
STEM_CHARS = 4
SENTENCE_SCORE = 0.6
MAX_TRAIL_LINES = 4
MIN_TRAIL_STEPS = 2
MAX_LAST_WORDS = 12
SITE_CAUTION = 1 / 3
MIN_TOPIC_WORDS = 12
MIN_TOPIC_LINES = 3
MAX_DATE_WORDS = 6
TAG_BLOCK = "rule:structure/tag-block"
BREADCRUMBS = "rule:structure/breadcrumbs"

BOM = "\ufeff"
_NUMBER = re.compile(r"\d{1,3}([.,]?\d{1,3})?\s?[kKmM]?$")
_LONG_WORD = re.compile(r"[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]{4,}")
_HANGUL = re.compile(r"[\uac00-\ud7a3]{2,}")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]{2,}")
_DASH = re.compile(r"[-–—]+$")
_AGENCY = re.compile(r"[A-Z][A-Z ./]{1,20}$")
_TERMINAL = tuple(".!?…。！？؟:;：；\"”»’)')")
_ITEM = re.compile(r"\s*[,;|·•/،、，]\s*")
_STEP = re.compile(r"\w(?:\s*[>›→]|\s+»)(?=\s*\w)")
_TRAIL = re.compile(r"\s*[>›→]\s*|\s+[»/|]\s+")
_HEADING = re.compile(r"^\s*([^:：]{2,30})\s?[:：]\s*(.+)$", re.DOTALL)
_DATE = re.compile(
    r"\W*(?:[^\W\d]+\.?,?\s+)?(?:\d{1,2}\W+(?:[^\W\d]+\W+){0,2}|[^\W\d]+\W+\d{1,2}\w{0,2}\W+)(?:\d{1,2}\W+)?(?:19|20)\d\d\W*"
)
_QUOTES = frozenset("«‹")
# Program code, markup and JSON: signs that prose never has side by side. Nothing repeats without bound before a match.
_CODE_SIGNS = frozenset("=(){}[]<>;:")
_CODE = re.compile(
    r"""(?xa)
    ^(?:>>>|\.\.\.|\$)\s.*(?:[=\[\]{}'"_]|\w\()                           # behind a prompt
    | ^[}\])]{1,9}[;,)]{0,9}$                                            # brackets that close
    | ^["'][\w@$-]{1,60}["']\s?:\s*\S                                   # a key of JSON
    | ^</?[a-zA-Z][^>]*>$ | </\w+>                                       # markup
    | ^(?:\#include\b|return\b.*[;(\[{]|(?:const|let|var|auto)\s\w+\s=|def\s\w+\()
    | ^(?:class\s\w+[\s({:].*[({:]$|(?:if|for|while|switch)\s?\(.*[{);]$|case\s.*:$)
    | \bfunction\b\s?\w{0,60}\([^{]{0,200}\{
    | ^[a-zA-Z_][\w.\[\]]*\s[-+|&]?=\s\S                                # an assignment
    | \b[a-zA-Z_]\w{0,60}\.[a-z_]\w{0,60}\( | [a-z_]\(\)                 # a call
    | [=()<>"'\]]\s?;$ | [\w)]\s?\{$                                    # the end of a statement, or a block's start
    | \w\s?[=!]==?\s?[\w"'] | [\w)]\s?=>\s?[\w({] | \w::\w | \w->\w | [\w)]\s(?:&&|\|\|)\s[\w!(]
    """
)
_PAGE_CODE = re.compile(
    r"googletag|adsbygoogle|dataLayer|\bgtag\(|\bfbq\(|_gaq|document\.(?:write|createElement)|taboola|outbrain"
)
_MORE_CAREFUL: dict[Preset, Preset] = {"gentle": "gentle", "balanced": "gentle", "strict": "balanced"}
_STRUCTURE = "rule:structure/"
_LEARNED_REASONS = ("Its wording, shape and neighbours are those of boilerplate.",)
_OWN_SOURCES = ("default", "repeat", "model:lines", "rule:")


class Mark(NamedTuple):
    """What a line is, and what decided it."""

    label: Label
    category: str
    score: float
    source: str
    reason: str


@dataclass(slots=True)
class _Lines:
    """The lines of a document, and what is known about each.

    Attributes:
        matches: what rules say, marks: what is decided.
        is_tag_list: whether it is a list of keywords behind its heading.
        is_trail: whether it is the way through the site that stands above an article.
    """

    texts: list[str]
    words: list[float]
    matches: list[Match | None]
    marks: list[Mark | None]
    is_tag_list: list[bool]
    is_trail: list[bool]
    rules: Rules
    _prose: list[str] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def structural(
        self, i: int, name: str, category: str, score: float, reason: str, label: Label = "boilerplate"
    ) -> None:
        self.marks[i] = Mark(label, category, score, f"rule:structure/{name}", reason)

    def category(self, i: int) -> str:
        """Return the category of a marked line, or nothing for a line that is unmarked or not there."""
        found = self.marks[i] if 0 <= i < len(self) else None
        return found.category if found else ""

    def prose(self) -> list[str]:
        """Return the lines that are long and that no rule knows, folded."""
        if self._prose is None:
            prose = (i for i, match in enumerate(self.matches) if match is None and self.words[i] >= MIN_TOPIC_WORDS)
            self._prose = [text.replace(GLUED, "") for text in fold_lines([self.texts[i] for i in prose], None)]
        return self._prose

    def ends_soon(self, i: int) -> bool:
        """Return whether hardly any prose follows a line."""
        return sum(words >= MIN_TOPIC_WORDS for words in self.words[i + 1 :]) < MIN_TOPIC_LINES - 1

    def is_sentence(self, i: int) -> bool:
        return self.texts[i].endswith(_TERMINAL)


def clean(documents: Sequence[Document], config: Config) -> list[Document]:
    r"""Return the documents with boilerplate, keyword blocks and hashtags marked.

    Expects one span per line. What another source than this stage has decided stays as it is.

    Raises:
        RuleError: a pack in `config.rules` cannot be used.
        ModelError: the line model cannot be loaded.
        ConfigError: a profile in `config.profiles` cannot be used.

    >>> from filter.segment import segment
    >>> document = clean([segment(Document("The court met on Monday.\nLeave a comment\n"))], Config())[0]
    >>> [(span.label, span.category, span.source) for span in document.spans]
    [('content', '', 'default'), ('boilerplate', 'comments', 'rule:en/comments')]
    """
    marked = _by_site(mark(documents, config), config)
    return _learned(marked, config)


def mark(documents: Sequence[Document], config: Config) -> list[Document]:
    """Return the documents marked by rules and structure alone; `clean` goes on from there."""
    rules = load_packs(config.rules)
    documents = [_without_byte_order_mark(document) for document in documents]
    texts = [_texts(document) for document in documents]
    every = [text for lines in texts for text in lines]
    words, headings, trails = words_in_each(every), _headings(every), _trails(texts)
    matches = rules.match([*every, *headings.values(), *trails.values()])
    is_tag_list, is_trail = [False] * len(every), [False] * len(every)
    for i, match in zip(headings, matches[len(every) :], strict=False):
        is_tag_list[i] = match is not None and match.rule.source == TAG_BLOCK
    for i, match in zip(trails, matches[len(every) + len(headings) :], strict=True):
        from_home = match is not None and match.rule.category == "navigation"
        is_trail[i] = from_home or len(_STEP.findall(every[i])) >= MIN_TRAIL_STEPS
    marked, at = [], 0
    for document, own in zip(documents, texts, strict=True):
        here = slice(at, at := at + len(own))
        lines = _Lines(own, words[here], matches[here], [None] * len(own), is_tag_list[here], is_trail[here], rules)
        for step in _STEPS:
            step(lines)
        marked.append(_with_marks(document, lines.marks))
    return marked


def _texts(document: Document) -> list[str]:
    return [document.text[span.start : span.end].strip() for span in document.spans]


def _without_byte_order_mark(document: Document) -> Document:
    first = document.spans[0] if document.spans else None
    if first is None or not document.text.startswith(BOM) or first.end == 1:
        return document
    return document.with_spans([replace(first, end=1), replace(first, start=1), *document.spans[1:]])


def _with_marks(document: Document, marks: Sequence[Mark | None]) -> Document:
    spans = []
    for span, found in zip(document.spans, marks, strict=True):
        if (found is None and span.source == "default") or not span.source.startswith(_OWN_SOURCES):
            spans.append(span)
        elif found is None:
            spans.append(replace(span, label="content", score=0.0, source="default", category="", reasons=()))
        else:
            label, category, score, source, reason = found
            spans.append(Span(span.start, span.end, label, span.lang, score, source, category, (reason,)))
    return replace(document, spans=tuple(spans))


# The steps, in order. Each one only adds marks.


def _by_rules(lines: _Lines) -> None:
    topics: dict[str, bool] = {}
    for i, match in enumerate(lines.matches):
        if match is None or match.weak:
            continue
        rule = match.rule
        if rule.category in PLEAS and lines.words[i] >= MIN_SENTENCE_WORDS:
            if rule.source not in topics:
                topics[rule.source] = _is_topic(lines, match)
            if topics[rule.source]:
                lines.matches[i] = Match(rule, weak=True)
                continue
        if rule.source == TAG_BLOCK and not lines.ends_soon(i):
            continue  # a paper's keywords stand at its head and belong to it
        lines.marks[i] = _rule_mark(match)


def _is_topic(lines: _Lines, match: Match) -> bool:
    """Return whether the article itself is about what a rule looks for, such as newsletters or subscriptions."""
    mentions = (text for text in lines.prose() if lines.rules.mentions(match.rule, text))
    return len(list(islice(mentions, MIN_TOPIC_LINES))) == MIN_TOPIC_LINES


def _rule_mark(match: Match, score: float | None = None) -> Mark:
    rule = match.rule
    reason = " ".join(rule.why.split())
    return Mark(rule.label, rule.category, rule.score if score is None else score, rule.source, reason)


def _byte_order_mark(lines: _Lines) -> None:
    if lines.texts and lines.texts[0] == BOM:
        lines.structural(0, "byte-order-mark", "metadata", 1.0, "A byte-order mark: it says how the file is encoded.")


def _tag_lists(lines: _Lines) -> None:
    """Mark the keywords that follow a heading such as `Tags:`, on its line or below it."""
    for i in range(len(lines)):
        found = lines.marks[i]
        if found is None:
            if lines.is_tag_list[i] and lines.ends_soon(i):
                lines.structural(i, "tag-block", "", 0.95, "A list of keywords behind its heading.", "spam")
        elif found.source == TAG_BLOCK:
            for j in _list_below(lines, i):
                lines.structural(j, "tag-block", "", 0.9, "A list of keywords below its heading.", "spam")


def _headings(texts: Sequence[str]) -> dict[int, str]:
    """Return the number of each line that is a list behind something like a heading, and the heading."""
    found = {}
    for i, text in enumerate(texts):
        has_colon = text.find(":", 0, MAX_HEADING_CHARS) > 0 or text.find("：", 0, MAX_HEADING_CHARS) > 0
        if has_colon and (parts := _HEADING.match(text)) and _is_list(parts[2]):
            found[i] = parts[1]
    return found


def _is_list(text: str) -> bool:
    if text.endswith(tuple(".!?。！？")):
        return False
    return all(words_in(item) <= MAX_TAG_WORDS + 1 for item in _ITEM.split(text.strip()))


def _trails(texts: Sequence[Sequence[str]]) -> dict[int, str]:
    """Return the number of each line at the head of a document that is parted like `Home > News`, and its first part.

    Lines are numbered through all documents. Below the first prose such a line may be advice: `Settings > Privacy`.
    """
    found, at = {}, 0
    for lines in texts:
        for i, text in enumerate(lines[:MAX_TRAIL_LINES]):
            if words_in(text) >= MIN_TOPIC_WORDS and _TRAIL.search(text) is None:
                break
            steps = _TRAIL.split(text)
            # The last step is often the headline: it may go where it is not the only one.
            if (
                len(steps) > 1
                and _QUOTES.isdisjoint(text)
                and all(words_in(step) <= MAX_TAG_WORDS or step in lines[i + 1 :] for step in steps)
            ):
                found[at + i] = steps[0]
        at += len(lines)
    return found


def _breadcrumbs(lines: _Lines) -> None:
    for i in range(min(len(lines), MAX_TRAIL_LINES)):
        if lines.marks[i] is None and lines.is_trail[i]:
            lines.structural(
                i, "breadcrumbs", "navigation", 0.9, "The way through the site to this page, above the article."
            )


def _list_below(lines: _Lines, heading: int) -> Iterator[int]:
    below = range(heading + 1, min(len(lines), heading + 1 + MAX_LIST_LINES))
    if (
        heading + 1 < len(lines)
        and len(_ITEM.split(lines.texts[heading + 1])) >= 3
        and _is_list(lines.texts[heading + 1])
    ):
        yield heading + 1
        return
    for i in below:
        if lines.marks[i] is not None or lines.words[i] > MAX_TAG_WORDS or lines.is_sentence(i):
            return
        yield i


def _counts(lines: _Lines) -> None:
    """Mark a small number alone on a line: under the headline, or beside share buttons."""
    for i, text in enumerate(lines.texts):
        if len(text) > MAX_NUMBER_CHARS or lines.marks[i] is not None or not _NUMBER.match(text):
            continue
        under_headline = i == 1 and lines.words[0] >= 3 and lines.words[0] <= 30 and not lines.texts[0].endswith(".")
        before_prose = i + 1 < len(lines) and lines.words[i + 1] >= 10
        if under_headline and before_prose:
            lines.structural(
                i, "share-count", "social", 0.9, "A small number alone under the headline: shares or comments."
            )
        elif {lines.category(i - 1), lines.category(i + 1)} & {"social", "comments"}:
            lines.structural(i, "share-count", "social", 0.9, "A small number beside share or comment buttons.")


def _datelines(lines: _Lines) -> None:
    """Mark an agency's name and its dash, left on lines of their own at the head of an article."""
    for i in range(1, min(len(lines), 6)):
        if _DASH.match(lines.texts[i]) and _AGENCY.match(lines.texts[i - 1]):
            for j in (i - 1, i):
                lines.structural(
                    j, "dateline", "metadata", 0.8, "The name of an agency and a dash, on lines of their own."
                )


def _weak_beside_hits(lines: _Lines) -> None:
    """Settle weak matches: they count within MAX_WEAK_DISTANCE lines of a plea, in both directions."""
    order = range(len(lines))
    for indices in (order, reversed(order)):
        for i in indices:
            match = lines.matches[i]
            if lines.marks[i] is None and match is not None and match.weak and _beside_plea(lines, i):
                lines.marks[i] = _rule_mark(match, 0.8)


def _beside_plea(lines: _Lines, i: int) -> bool:
    near = range(i - MAX_WEAK_DISTANCE, i + MAX_WEAK_DISTANCE + 1)
    return any(lines.category(j) in PLEAS for j in near if j != i)


def _between(lines: _Lines) -> None:
    """Mark short lines between two hits. A sentence is spared: with half the page cut away, it may be the article's."""
    hits = [i for i in range(len(lines)) if lines.marks[i] is not None]
    if len(hits) < 2:
        return
    head = _headline(lines.texts, [found.source if found else "" for found in lines.marks])
    for before, after in pairwise(hits):
        gap = range(before + 1, after)
        sides = {lines.category(before), lines.category(after)}
        if not gap or len(gap) > MAX_BETWEEN_LINES or not sides <= CHROME or head in gap:
            continue
        if all(lines.words[i] <= MAX_BETWEEN_WORDS and not lines.is_sentence(i) for i in gap):
            for i in gap:
                lines.structural(
                    i, "between", lines.category(before), 0.75, "A short line inside a block of boilerplate."
                )


def _embed_copies(lines: _Lines) -> None:
    """Mark lines of an embedded post that repeat what the article quotes; the others stay, they may be all there is."""
    for i in range(len(lines)):
        found = lines.marks[i]
        if found is None or found.source != "rule:web/tweet-signature":
            continue
        for j in range(max(0, i - 4), min(len(lines), i + 4)):
            if lines.marks[j] is None and lines.words[j] >= 4 and _is_copy(lines, j):
                lines.structural(j, "embed-copy", "embed", 0.85, "An embedded post; the article quotes the same words.")


def _is_copy(lines: _Lines, i: int) -> bool:
    own = _shingles(lines.texts[i])
    if len(own) < 3:
        return False
    rest: set[tuple[str, ...]] = set()
    for j, text in enumerate(lines.texts):
        if j != i and lines.words[j] > lines.words[i] and lines.marks[j] is None:
            rest |= _shingles(text)
    return len(own & rest) >= 0.8 * len(own)


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return set(zip(words, words[1:], words[2:], strict=False))


def _repeats(lines: _Lines) -> None:
    """Mark short lines that come again and again between paragraphs, and every copy of a line marked elsewhere."""
    keys = [
        text.casefold() if words <= MAX_REPEATED_WORDS else ""
        for text, words in zip(lines.texts, lines.words, strict=True)
    ]
    short = [key for key in keys if key]
    if len(short) == len(set(short)):
        return
    counts = Counter(short)
    marked = {key for key, found in zip(keys, lines.marks, strict=True) if key and found}
    for i, key in enumerate(keys):
        if lines.marks[i] is not None or not key or lines.is_sentence(i) or not any(map(str.isalpha, key)):
            continue
        if key in marked or (counts[key] >= MIN_REPEATS and lines.texts[i].isupper() and _interrupts(lines, keys, key)):
            category = next((lines.category(j) for j, other in enumerate(keys) if other == key and lines.marks[j]), "")
            reason = f"The same short line stands here {counts[key]} times."
            lines.marks[i] = Mark("boilerplate", category or "navigation", 0.8, "repeat", reason)


def _interrupts(lines: _Lines, keys: Sequence[str], key: str) -> bool:
    """Return whether each copy of a line stands between two paragraphs, as a heading or a speaker's name would not."""
    for i in (i for i, other in enumerate(keys) if other == key):
        around = [j for j in (i - 1, i + 1) if 0 <= j < len(lines)]
        if len(around) < 2 or any(lines.words[j] < 12 for j in around):
            return False
    return True


_STEPS = (
    _byte_order_mark,
    _by_rules,
    _breadcrumbs,
    _tag_lists,
    _counts,
    _datelines,
    _weak_beside_hits,
    _between,
    _embed_copies,
    _repeats,
)


def _by_site(documents: list[Document], config: Config) -> list[Document]:
    """Return the documents with the lines marked that the profiles of their sites know."""
    if not config.profiles:
        return documents
    rules = load_packs(config.rules)

    def categories(lines: Sequence[str]) -> list[str]:
        return [match.rule.category if match else "" for match in rules.match(lines)]

    profile = load_profiles(config.profiles)
    return mark_site_lines(documents, profile, min_score=MIN_SCORES[config.preset], categories=categories)


def _learned(documents: list[Document], config: Config) -> list[Document]:
    """Return the documents with the line model's marks added to those of rules and structure."""
    texts = [_texts(document) for document in documents]
    known = [np.array([span.label != "content" for span in document.spans], dtype=bool) for document in documents]
    usual, doubt = threshold(config.preset), DOUBTS[config.preset]
    # Where the site's furniture is known already, less of what is left is boilerplate.
    stricter = usual + SITE_CAUTION * (threshold(_MORE_CAREFUL[config.preset]) - usual)
    # What users have written themselves is never contradicted.
    own_packs = {Path(path).stem for path in config.rules}
    judged = []
    for document, own, scores, hits in zip(documents, texts, line_scores(texts, known), known, strict=True):
        spans = list(document.spans)
        by_rule = [span.category if span.source.startswith("rule:") else "" for span in spans]
        limit = stricter if any(span.source.startswith("site:") for span in spans) else usual
        likely = np.flatnonzero((np.asarray(scores) >= limit) & ~hits).tolist()
        head = _headline(own, ["" if span.label == "content" else span.source for span in spans]) if likely else None
        for i in likely:
            span = spans[i]
            if scores[i] < SENTENCE_SCORE and _goes_on(own, spans, i):
                continue
            if span.source == "default" and i != head and not is_spared(own[i], first=i == 0):
                category, score = _guess(by_rule, i, own[i]), round(float(scores[i]), 4)
                spans[i] = Span(
                    span.start, span.end, "boilerplate", span.lang, score, "model:lines", category, _LEARNED_REASONS
                )
        for i in np.flatnonzero((np.asarray(scores) < doubt) & hits).tolist():
            if is_doubtful(spans[i]) and spans[i].source.split(":", 1)[1].split("/", 1)[0] not in own_packs:
                reason = f"Found by {spans[i].source}, but its wording, shape and neighbours are those of the article."
                score = round(float(scores[i]), 4)
                spans[i] = replace(
                    spans[i], label="content", category="", score=score, source="model:lines", reasons=(reason,)
                )
        judged.append(replace(document, spans=tuple(spans)))
    return judged


def _headline(texts: Sequence[str], sources: Sequence[str]) -> int | None:
    """Return the number of the line that must be the headline: the first one without a source, which names its mark.

    A short one may as well name a part of the site. It must stand below breadcrumbs, or have words of the article.

    >>> prose = "Brown the butter until it smells of nuts, then stir in the oats."
    >>> _headline(["Share", "Brown butter cookies", prose], ["rule:en/social", "", ""])
    1
    >>> _headline(["Share", "Our newsletters", prose], ["rule:en/social", "", ""]) is None
    True
    """
    first = next((i for i, source in enumerate(sources) if not source), None)
    if first is None:
        return None
    below_trail = first > 0 and sources[first - 1] == BREADCRUMBS
    if words_in(texts[first]) >= (MIN_STEMS + 1 if below_trail else MIN_HEADLINE_WORDS):
        return first
    stems = _stems(texts[first])
    if len(stems) < MIN_STEMS:
        return None
    prose = [text for text, source in zip(texts, sources, strict=True) if not source and text.endswith(_TERMINAL)]
    below = set().union(*(_stems(text) for text in prose if words_in(text) >= MIN_HEADLINE_WORDS))
    return first if len(stems & below) >= max(MIN_STEMS, len(stems) / 2) else None


def _stems(text: str) -> set[str]:
    """Return the beginnings of longer words, and pairs of characters where no blanks part the words."""
    found = {word[:STEM_CHARS] for word in _LONG_WORD.findall(text.casefold())}
    found |= {word[:2] for word in _HANGUL.findall(text)}
    return found | {run[at : at + 2] for run in _UNSPACED.findall(text) for at in range(len(run) - 1)}


def _goes_on(texts: Sequence[str], spans: Sequence[Span], i: int) -> bool:
    """Return whether a line is a short sentence that follows another sentence, as the last line of an article does.

    Up to MAX_BETWEEN_LINES lines that rules know may stand between: pleas are put into articles before their end.
    """
    if not texts[i].endswith((".", "。")) or not 3 <= words_in(texts[i]) <= MAX_LAST_WORDS:
        return False
    for j in range(i - 1, max(-1, i - 2 - MAX_BETWEEN_LINES), -1):
        if spans[j].label == "content":
            return texts[j].endswith(_TERMINAL) and words_in(texts[j]) >= MIN_HEADLINE_WORDS
        if spans[j].source == "model:lines":
            return False
    return False


def is_doubtful(span: Span) -> bool:
    """Return whether a mark is one that the model may contradict: boilerplate by a rule about wording."""
    return span.label == "boilerplate" and span.source.startswith("rule:") and not span.source.startswith(_STRUCTURE)


def is_spared(text: str, *, first: bool) -> bool:
    """Return whether a line is one that the model alone may not remove.

    That is long prose, a date, the document's headline, and program code, which the pages the model has learned from
    hardly have: to it, code looks like what stands around an article.
    """
    words = words_in(text)
    if words >= LONG_PROSE_WORDS or (first and words >= MIN_HEADLINE_WORDS) or is_code(text):
        return True
    return words <= MAX_DATE_WORDS and _DATE.fullmatch(text) is not None


def is_code(text: str) -> bool:
    """Return whether a line is program code, markup or JSON, and not a script of the page itself.

    >>> [is_code(line) for line in ("return response.json()", '"name": "Ann",', "Read more (3)", "gtag('config', id);")]
    [True, True, False, False]
    """
    if _CODE_SIGNS.isdisjoint(text):
        return False
    return _CODE.search(text) is not None and _PAGE_CODE.search(text) is None


def _guess(by_rule: Sequence[str], i: int, text: str) -> str:
    """Return the category of the nearest line that a rule has marked, else one by the line's length."""
    near = by_rule[max(0, i - 3) : i + 4]
    if any(near):
        nearest = (j for j in (i, i - 1, i + 1, i - 2, i + 2, i - 3, i + 3) if 0 <= j < len(by_rule))
        return next(filter(None, map(by_rule.__getitem__, nearest)))
    return "navigation" if words_in(text) <= MAX_BETWEEN_WORDS else "related"
