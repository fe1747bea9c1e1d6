"""A page of HTML as blocks of text, and what is known of each: its tags, its names, its place, its neighbours.

A block is what stands between two tags that break a line. Names are the words in `class` and `id`, which say of a block
what its text does not: that it is a caption, a comment, a teaser. All of that is lost once the text is extracted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .features import CLASSES, _tables
from .lines import Net, _net_from, sigmoid
from .store import Model, load_model

__all__ = [
    "BlockModel",
    "Blocks",
    "features",
    "main_text",
    "mask_of",
    "models_from_store",
    "models_to_store",
    "read_blocks",
    "shipped_models",
    "unnamed",
    "using",
    "votes_of",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


def _words(words: str) -> list[str]:
    return words.split()


_SKIPPED = frozenset(
    _words(
        "script style noscript template svg math iframe object embed canvas audio video map select datalist textarea "
        "input head title meta link base img picture source track param area frameset frame"
    )
)
_BREAKS = frozenset(("br", "hr"))
_BLOCKS = frozenset(
    _words(
        "html body p div section article main h1 h2 h3 h4 h5 h6 ul ol li dl dt dd table thead tbody tfoot tr td th "
        "caption blockquote pre figure figcaption header footer nav aside form fieldset legend address details summary "
        "center dialog menu hgroup search"
    )
)
# Tags that say something; each is a bit of a mask.
_TAG_BITS = _words(
    "article main aside nav footer header form figure figcaption table ul ol li blockquote section a h1 h2 h3 h4 h5 h6 "
    "p pre dl td th button label strong em span center font details"
)
# Families of names; a word belongs to the first family one of whose stems it begins with.
_FAMILIES = {
    "comment": "comment disqus reply replies respond discuss kommentar komment",
    "related": "related recommend recirc outbrain taboola readmore recent popular trending latest similar also mehr "
    "suggest crosslink inlinelink linkbox",
    "teaser": "teaser promo card tile feed stream preview carousel slider slick swiper grid",
    "sidebar": "sidebar side aside rail widget",
    "nav": "nav menu breadcrumb pagination pager paging tab toolbar toc index jump skip crumb",
    "footer": "footer foot bottom copyright legal disclaimer imprint colophon",
    "header": "header masthead top banner logo brand",
    "advert": "ad ads adv advert advertisement sponsor anzeige werbung dfp gpt publicidad reklam",
    "share": "share sharing social facebook twitter tweet whatsapp pinterest linkedin addthis follow sns",
    "author": "author byline bio writer autor contributor avatar profile user",
    "meta": "meta date time timestamp published info tag tags category categories topic label kicker dateline source",
    "caption": "caption credit legend copyright figcaption bildunterschrift attribution",
    "media": "figure image images img photo picture gallery media video player audio embed thumb",
    "offer": "newsletter subscribe subscription paywall login signin signup register premium abo cta account",
    "consent": "cookie consent gdpr modal popup overlay lightbox dialog notice alert",
    "list": "list item items row result results",
    "title": "title headline heading head hed",
    "lead": "summary lead lede intro standfirst excerpt abstract deck subtitle subhead dek description perex",
    "quote": "quote blockquote pull pullquote cite",
    "hidden": "hidden hide sr screen visually invisible print noprint",
    "shop": "product price cart review rating spec sku buy shop order",
    "thread": "thread message post posts forum bbp reply phpbb",
    "article": "article story artikel art news entry hentry blog",
    "body": "body content contents copy text txt paragraph prose wysiwyg richtext rte main maincontent articlebody",
    "tools": "button btn icon tool tools action actions control controls link links more",
    "box": "box sticky fixed factbox infobox aside note",
    "code": "code highlight pre snippet",
}
_BITS = {name: i for i, name in enumerate((*(f"<{tag}>" for tag in _TAG_BITS), *_FAMILIES))}
_TAG_MASK = {tag: 1 << _BITS[f"<{tag}>"] for tag in _TAG_BITS}
_HIDDEN = 1 << _BITS["hidden"]
_NAMED_TAGS = _words("article main aside nav footer header figure figcaption section details button")
_NAMED = sum(1 << _BITS[name] for name in _FAMILIES if name != "hidden") | sum(_TAG_MASK[tag] for tag in _NAMED_TAGS)
_ROLES = {
    "navigation": _TAG_MASK["nav"],
    "contentinfo": _TAG_MASK["footer"],
    "banner": _TAG_MASK["header"],
    "complementary": _TAG_MASK["aside"],
    "main": _TAG_MASK["main"],
    "article": _TAG_MASK["article"],
    "dialog": 1 << _BITS["consent"],
}
_NAME_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_UNSEEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_NAMING = frozenset(("id", "itemprop"))
_LINKS = frozenset(("a", "button"))
_BOLD = frozenset(("b", "strong"))
_HEADINGS = sum(_TAG_MASK[f"h{level}"] for level in range(1, 7))
_LEVELS = 4
_MANY_COLUMNS = 512
_CELL = " | "
_MAX_CELL_CHARS = 100
_MIN_BESIDE = 2
_MAX_TABLE_LINKS = 0.3
_PROBE_CHARS = 40
_NO_LETTERS = re.compile(r"[\W\d_]+")
_NO_LETTERS_IN_LINE = re.compile(r"(?:[^\w\n]|[\d_])+")
_STEMS = {stem: 1 << _BITS[family] for family, stems in reversed(_FAMILIES.items()) for stem in stems.split()}
_LONG_STEM = 4


@lru_cache(maxsize=1 << 14)
def _word_mask(word: str) -> int:
    found = _STEMS.get(word, 0)
    if not found:
        for end in range(len(word) - 1, _LONG_STEM - 1, -1):
            found = _STEMS.get(word[:end], 0)
            if found:
                break
    return found


@lru_cache(maxsize=1 << 14)
def _name_mask(names: str) -> int:
    mask = 0
    for word in _NAME_WORD.findall(names):
        mask |= _word_mask(word.lower())
    return mask


def mask_of(name: str) -> int:
    """Return the mask of a tag, such as `h1`, or of a family of names, such as `teaser`."""
    return 1 << _BITS[name if name in _FAMILIES else f"<{name}>"]


class Blocks(NamedTuple):
    """The blocks of a page, in reading order, and the elements they stand in.

    Attributes:
        texts: the text of each block, white space collapsed except in `pre`.
        links, strong: for each block, how many of its characters are in links, in bold.
        inner: for each block, the masks of the inline elements in it, joined.
        element: for each block, the number of the innermost element around it that breaks lines.
        row: for each block, the element of its table row, or -1.
        broken: for each block, 1 where it stands after `br` or `hr`.
        parent: for each element, the number of the one around it; -1 for the first.
        first, end: for each element, the blocks `[first, end)` in it.
        mask, around: the mask of each element, and those of all elements around it, joined.
        kind: for each element, a number that stands for its tag and names (without names: also for its parent's).
        path: for each element, a number that stands for its tag and names and those of everything around it.
        title, lead: what the head of the page says its title is, and of what it is about.
    """

    texts: list[str]
    links: Array
    strong: Array
    inner: Array
    element: Array
    row: Array
    broken: Array
    parent: Array
    first: Array
    end: Array
    mask: Array
    around: Array
    kind: Array
    path: Array
    title: str = ""
    lead: str = ""

    def only(self, keep: Array) -> Blocks:
        """Return the page without some of its blocks; its elements all stay.

        Args:
            keep: True for each block that stays.
        """
        before = np.concatenate([[0], np.cumsum(keep)])
        return self._replace(
            texts=[text for text, stays in zip(self.texts, keep.tolist(), strict=True) if stays],
            links=self.links[keep],
            strong=self.strong[keep],
            inner=self.inner[keep],
            element=self.element[keep],
            row=self.row[keep],
            broken=self.broken[keep],
            first=before[self.first],
            end=before[self.end],
        )


def unnamed(blocks: Blocks) -> Blocks:
    """Return a page as if nobody had named its parts, in `class` and `id` or by tags that HTML 4 lacks."""
    mask, around, inner = (masks & ~_NAMED for masks in (blocks.mask, blocks.around, blocks.inner))
    return blocks._replace(mask=mask, around=around, inner=inner)


class _Reader:
    """Walks through a tree and notes blocks and elements as it goes."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.blocks: list[tuple[int, int, int, int, int, int]] = []
        self.parent: list[int] = []
        self.first: list[int] = []
        self.end: list[int] = []
        self.mask: list[int] = []
        self.around: list[int] = []
        self.kind: list[int] = []
        self.path: list[int] = []
        self.kinds: dict[tuple[str, str, int], int] = {}
        self.paths: dict[tuple[str, str, int], int] = {}
        self.pieces: list[str] = []
        self.links = self.strong = self.inner = self.broken = 0
        self.row = -1

    def flush(self, number: int, *, as_is: bool) -> None:
        """Make a block of the text gathered in an element."""
        if not self.pieces:
            return
        joined = "".join(self.pieces)
        text = joined.strip() if as_is else " ".join(joined.split())
        if text:
            size = len(text)
            counts = (min(self.links, size), min(self.strong, size), self.inner, number, self.row, self.broken)
            self.texts.append(text)
            self.blocks.append(counts)
        self.pieces = []
        self.links = self.strong = self.inner = 0

    def add(self, text: str, in_link: bool, in_bold: bool) -> None:
        self.pieces.append(text)
        if in_link:
            self.links += len(text)
        if in_bold:
            self.strong += len(text)

    def block(self, element: Any, tag: str, parent: int, path: int, in_link: bool, in_bold: bool) -> None:
        """Read an element that breaks lines."""
        number, mask, names = len(self.parent), _TAG_MASK.get(tag, 0), ""
        for name, value in element.items():
            if name == "class":
                names = value
                mask |= _name_mask(value)
            elif name in _NAMING:
                mask |= _name_mask(value)
            elif name == "role":
                mask |= _ROLES.get(value, 0)
            elif name == "hidden" or (name == "style" and "none" in value.lower() and _UNSEEN.search(value)):
                mask |= _HIDDEN
        self.parent.append(parent)
        self.first.append(len(self.texts))
        self.end.append(0)
        self.mask.append(mask)
        self.around.append(self.around[parent] | self.mask[parent] if parent >= 0 else 0)
        kind = (tag, names, -1 if names or parent < 0 else self.kind[parent])
        self.kind.append(self.kinds.setdefault(kind, len(self.kinds)))
        self.path.append(self.paths.setdefault((tag, names, path), len(self.paths)))
        row = self.row
        if tag == "tr":
            self.row = number
        as_is = tag == "pre"
        if element.text:
            self.add(element.text, in_link, in_bold)
        self.inside(element, number, as_is, in_link, in_bold)
        self.flush(number, as_is=as_is)
        self.broken = 0
        self.row = row
        self.end[number] = len(self.texts)

    def inside(self, element: Any, number: int, as_is: bool, in_link: bool, in_bold: bool) -> None:
        """Read what stands in an element after its first text."""
        for child in element:
            tag = child.tag
            if tag in _BLOCKS:
                self.flush(number, as_is=as_is)
                self.broken = 0
                self.block(child, tag, number, self.path[number], in_link, in_bold)
            elif tag in _BREAKS:
                if as_is:
                    self.pieces.append("\n")
                else:
                    self.flush(number, as_is=False)
                    self.broken = 1
            elif tag in _SKIPPED or not isinstance(tag, str):
                self.pieces.append(" ")
            else:
                link, bold = in_link or tag in _LINKS, in_bold or tag in _BOLD
                names = child.get("class")
                self.inner |= _TAG_MASK.get(tag, 0) | (_name_mask(names) if names else 0)
                text = child.text
                if text:
                    self.add(text, link, bold)
                if len(child):
                    self.inside(child, number, as_is, link, bold)
            tail = child.tail
            if tail:
                self.add(tail, in_link, in_bold)


def read_blocks(tree: Any) -> Blocks:
    """Return the blocks of a page.

    Args:
        tree: its `lxml` element; all but `body` is left out.

    >>> from lxml.html import document_fromstring
    >>> read_blocks(document_fromstring("<h1>Flood</h1><p>The <b>river</b> rose.<br>It fell.")).texts
    ['Flood', 'The river rose.', 'It fell.']
    """
    reader = _Reader()
    body = tree.find("body") if tree.tag == "html" else None
    reader.block(tree if body is None else body, "body", -1, -1, False, False)
    columns = np.array(reader.blocks, dtype=np.int64).reshape(-1, 6).T
    elements = (reader.parent, reader.first, reader.end, reader.mask, reader.around, reader.kind, reader.path)
    title, lead = _head(tree)
    blocks = Blocks(reader.texts, *columns, *(np.array(values, dtype=np.int64) for values in elements))
    return blocks._replace(title=title, lead=lead)


def _head(tree: Any) -> tuple[str, str]:
    """Return the titles of a page, one a line, and its description."""
    titles, leads = [], []
    head = tree.find("head")
    for element in () if head is None else head.iterchildren("title", "meta"):
        if element.tag == "title":
            titles.append(element.text or "")
        else:
            name = element.get("property") or element.get("name") or ""
            if name == "og:title":
                titles.append(element.get("content", ""))
            elif name in ("og:description", "description"):
                leads.append(element.get("content", ""))
    return "\n".join(titles), "\n".join(leads)


@dataclass(frozen=True)
class _Sums:
    """Sums over blocks that stand in a row, as differences of running totals."""

    running: Array

    @classmethod
    def of(cls, values: Array) -> _Sums:
        return cls(np.concatenate([[0.0], np.cumsum(values)]))

    @property
    def total(self) -> float:
        return float(self.running[-1])

    def between(self, first: Array, end: Array) -> Array:
        sums: Array = self.running[end] - self.running[first]
        return sums


class _Table:
    """Columns of numbers by name."""

    def __init__(self, rows: int) -> None:
        self.names: list[str] = []
        self.columns: Floats = np.empty((_MANY_COLUMNS, rows), dtype=np.float32)

    def add(self, names: str | Sequence[str], columns: Sequence[Array | float] | Array) -> None:
        """Add a column, or several: each is an array, or one number for all rows."""
        if isinstance(names, str):
            names, columns = [names], np.asarray(columns)[None]
        at = len(self.names)
        self.names += names
        if len(self.names) > len(self.columns):
            self.columns = np.vstack([self.columns, np.empty_like(self.columns)])
        if isinstance(columns, np.ndarray):
            self.columns[at : at + len(names)] = columns
            return
        for number, column in enumerate(columns, at):
            self.columns[number] = column

    def rows(self) -> Floats:
        return np.ascontiguousarray(self.columns[: len(self.names)].T)


_TEXT = (
    "log chars",
    "log words",
    "chars per word",
    "upper",
    "digits",
    "letters",
    "ideographs",
    "stop rate",
    "comma rate",
    "stops",
    "dividers",
    "colons",
    "quotes",
    "signs",
    "ends with stop",
    "ends with colon",
    "starts lower",
    "starts upper",
    "starts with digit",
    "starts with quote",
)


def _text_numbers(texts: list[str]) -> Floats:
    """Return the columns `_TEXT`: what each block's characters are."""
    chars = np.array([len(text) for text in texts], dtype=np.int64)
    joined = "\n".join(texts) + "\n"
    raw = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    table = _tables()[0]
    kinds = table[np.minimum(raw, len(table) - 1)]
    ends = np.cumsum(chars + 1) - 1
    starts = ends - chars
    text_of = np.repeat(np.arange(len(texts)), chars + 1)
    counts = np.bincount(text_of * len(CLASSES) + kinds, minlength=len(texts) * len(CLASSES))
    n = dict(zip(CLASSES, counts.reshape(len(texts), len(CLASSES)).T.astype(np.float32), strict=True))
    letters = n["lower"] + n["upper"] + n["ideograph"]
    words = n["space"] + n["ideograph"] / 2  # the line break after it counts for the last word
    size = chars.astype(np.float32)
    first, last = kinds[starts], kinds[ends - 1]
    last_but_one = kinds[np.maximum(ends - 2, starts)]
    code = {name: number for number, name in enumerate(CLASSES)}
    ends_with_stop = (last == code["stop"]) | ((last == code["quote"]) & (last_but_one == code["stop"]))
    columns = (
        np.log1p(size),
        np.log1p(words),
        letters / words,
        n["upper"] / np.maximum(letters, 1),
        n["digit"] / size,
        letters / size,
        n["ideograph"] / size,
        n["stop"] / words,
        n["comma"] / words,
        np.minimum(n["stop"], 10),
        np.minimum(n["divider"] + n["tag"], 10),
        np.minimum(n["colon"], 5),
        np.minimum(n["quote"], 5),
        np.minimum(n["mark"] + n["picture"], 5),
        ends_with_stop,
        last == code["colon"],
        first == code["lower"],
        first == code["upper"],
        first == code["digit"],
        first == code["quote"],
    )
    return np.column_stack(columns).astype(np.float32)


def _bits(masks: Array) -> Array:
    octets = masks.astype("<i8").view(np.uint8).reshape(len(masks), 8)
    return np.unpackbits(octets, axis=1, bitorder="little")[:, : len(_BITS)]


def _beside(columns: Array, step: int) -> Array:
    """Return of each row the one that stands `step` further on; zeros beyond either end."""
    out = np.zeros_like(columns)
    if 0 < step < columns.shape[1]:
        out[:, :-step] = columns[:, step:]
    elif 0 < -step < columns.shape[1]:
        out[:, -step:] = columns[:, :step]
    return out


def _levels(blocks: Blocks) -> list[Array]:
    """Return the element of each block, the one around it, and so on."""
    levels = [blocks.element]
    for _ in range(_LEVELS - 1):
        levels.append(np.maximum(blocks.parent[levels[-1]], 0))
    return levels


_NEIGHBOURS = ("chars", "link", "stop", "heading", "prose", "digits", "title words")
_STEM = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f](?=([\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]))|(\w{4,6})"
)
_MAX_STEMS = 24
_MIN_START = 40.0


def _stems(text: str) -> list[str]:
    """Return the beginnings of the words of a text, and pairs of letters where words are not set apart."""
    found = (match[2] or match[0] + match[1] for match in _STEM.finditer(text.lower()))
    return list(dict.fromkeys(found))[:_MAX_STEMS]


def _told(blocks: Blocks) -> Floats:
    """Return the shares of the words of title and description that each block holds, and whether it is the title."""
    lowered = [text.lower() for text in blocks.texts]
    ends = np.cumsum([len(text) + 1 for text in lowered])
    joined = "\n".join(lowered)

    @cache
    def where_is(stem: str) -> Array:
        places, at = [], joined.find(stem)
        while at >= 0:
            places.append(at)
            at = joined.find(stem, at + 1)
        where = ends.searchsorted(np.array(places, dtype=np.int64), side="right")
        return where[np.append(True, where[1:] != where[:-1])] if len(where) > 1 else where

    def held(text: str) -> tuple[Array, Array]:
        stems = _stems(text)
        plain, rare = np.zeros(len(lowered)), np.zeros(len(lowered))
        for where in filter(len, map(where_is, stems)):
            plain[where] += 1 / len(stems)
            rare[where] += 1 / len(where)
        return plain, rare

    title, rare = held(blocks.title)
    lead, _ = held(blocks.lead)
    sizes = np.array([len(text) for text in lowered])
    is_title = np.zeros(len(lowered))
    for one in blocks.title.split("\n"):
        flat = _NO_LETTERS.sub("", one.lower())
        for i in np.flatnonzero((title >= 0.25) & (sizes <= 2 * len(one) + 10)).tolist() if flat else ():
            own = _NO_LETTERS.sub("", lowered[i])
            if own and (own in flat or flat in own):
                is_title[i] = max(is_title[i], min(len(own), len(flat)) / max(len(own), len(flat)))
    return np.column_stack([title, rare, lead, is_title]).astype(np.float32)


def _start(blocks: Blocks, told: Array, prose: Array, link: Array, heading: Array) -> tuple[int, int]:
    """Return the block that is the title, and the first block of running text after it; -1 where there is none."""
    found = np.flatnonzero(told[:, 3] >= 0.3)
    if not len(found):
        found = np.flatnonzero((told[:, 0] >= 0.5) & (prose < 200))
    if not len(found):
        return -1, -1
    total = np.concatenate([[0.0], np.cumsum(prose)])
    follows = np.log1p(total[np.minimum(found + 12, len(prose))] - total[found + 1])
    fit = 2 * told[found, 3] + heading[found] - link[found] + 0.3 * follows
    title = int(found[np.argmax(fit)])
    after = np.flatnonzero(prose[title + 1 :] >= _MIN_START)
    return title, title + 1 + int(after[0]) if len(after) else -1


def _steps(blocks: Blocks, element: int, index: Array) -> Array:
    """Return for each block how many steps up from an element it is until the block is inside."""
    steps, at = np.full(len(index), -1.0), 0
    while element >= 0:
        inside = (index >= blocks.first[element]) & (index < blocks.end[element]) & (steps < 0)
        steps[inside] = at
        element, at = int(blocks.parent[element]), at + 1
    return steps


def _longest(hit: Array, low: Array, high: Array, at: int) -> Array:
    """Return the longest run of hits between a block and each other one."""
    count = len(hit)
    total = np.concatenate([[0], np.cumsum(hit)])
    index = np.arange(count)
    forward = index - np.maximum.accumulate(np.where(hit, -1, index))
    back = np.minimum.accumulate(np.where(hit, count, index)[::-1])[::-1] - index
    longest = np.zeros(count)
    longest[at:] = np.maximum.accumulate(np.minimum(forward[at:], index[at:] - at))
    longest[: at + 1] = np.maximum.accumulate(np.minimum(back[: at + 1], at - index[: at + 1])[::-1])[::-1]
    runs: Array = np.minimum(longest, total[high] - total[low])
    return runs


def features(blocks: Blocks, votes: Mapping[str, Array] | None = None) -> tuple[Floats, list[str]]:
    """Return one row of numbers per block, and the names of the columns.

    Args:
        blocks: at least one.
        votes: what else is known of each block, by name.
    """
    count = len(blocks.texts)
    index = np.arange(count)
    table = _Table(count)
    text = _text_numbers(blocks.texts)
    table.add(_TEXT, text.T)
    said = dict(zip(_TEXT, text.T.astype(np.float64), strict=True))
    size = np.array([len(text) for text in blocks.texts], dtype=np.float64)
    link = blocks.links / size
    table.add(["link", "strong", "broken", "in row"], [link, blocks.strong / size, blocks.broken, blocks.row >= 0])
    own = blocks.mask[blocks.element]
    levels = _levels(blocks)
    columns: Sequence[Array | float]
    near = own | blocks.mask[levels[1]] | blocks.mask[levels[2]]
    for name, masks in (
        ("own", own),
        ("near", near),
        ("around", blocks.around[blocks.element] | own),
        ("inner", blocks.inner),
    ):
        table.add([f"{name} {bit}" for bit in _BITS], _bits(masks).T)
    # Characters that look like those of running text: outside links, in sentences.
    words = np.expm1(said["log words"])
    marks = np.clip(said["stops"] + said["comma rate"] * words / 2, 0.2, 1)
    prose = size * (1 - link) * np.clip((words - 4) / 12, 0, 1) * marks
    sizes, proses, links = _Sums.of(size), _Sums.of(prose), _Sums.of(blocks.links)
    total, total_prose = max(sizes.total, 1.0), max(proses.total, 1.0)
    for k, level in enumerate(levels):
        first, end = blocks.first[level], blocks.end[level]
        chars, own_prose = sizes.between(first, end), proses.between(first, end)
        columns = (
            np.log1p(chars),
            links.between(first, end) / np.maximum(chars, 1),
            np.log1p(end - first),
            np.log1p(own_prose),
            own_prose / total_prose,
            (index - first) / np.maximum(1, end - first),
        )
        names = [f"{name} {k} up" for name in ("chars", "link", "blocks", "prose", "prose share", "place")]
        table.add(names, columns)
    for name, ids in (("kind", blocks.kind[blocks.element]), ("path", blocks.path[blocks.element])):
        alike = np.bincount(ids)
        chars, own_prose, own_links = (np.bincount(ids, weights=values) for values in (size, prose, blocks.links))
        shared: tuple[Array, ...] = (
            np.log1p(alike),
            np.log1p(chars),
            own_prose / total_prose,
            own_links / np.maximum(chars, 1),
            np.log1p(chars / np.maximum(alike, 1)),
        )
        names = [f"{name} {part}" for part in ("count", "chars", "prose share", "link", "mean")]
        table.add(names, [column[ids] for column in shared])
    # The element whose children hold most prose, as Readability looks for it.
    held = np.zeros(len(blocks.parent))
    for share, level in zip((1.0, 1.0, 0.5), levels, strict=False):
        held += share * np.bincount(level, weights=prose, minlength=len(held))
    top = int(np.argmax(held))
    steps = _steps(blocks, top, index)
    top_first, top_end = blocks.first[top], max(blocks.end[top], blocks.first[top] + 1)
    h1 = np.flatnonzero(own & _TAG_MASK["h1"])
    columns = (
        steps,
        np.clip((index - top_first) / (top_end - top_first), -1, 2),
        sizes.running[:-1] / total,
        proses.running[:-1] / total_prose,
        np.log1p(proses.running[:-1]),
        np.log1p(np.maximum(proses.total - proses.running[1:], 0)),
        np.clip(index - (h1[0] if len(h1) else count), -50, 50),
    )
    names = ["steps to top", "place in top", "chars before", "prose before", "log prose before", "log prose after"]
    table.add([*names, "after h1"], columns)
    page = [held[top] / total_prose, np.log1p(count), np.log1p(total), np.log1p(total_prose), total_prose / total]
    table.add(["top share", "page blocks", "page chars", "page prose", "page prose share"], page)
    told = _told(blocks)
    table.add(["title words", "rare title words", "lead words", "is title"], told.T)
    hits = _Sums.of(told[:, 1])
    alike = np.bincount(blocks.path)
    everywhere = np.bincount(blocks.path, weights=proses.between(blocks.first, blocks.end))
    earliest = np.full(len(alike), count)
    np.minimum.at(earliest, blocks.path, blocks.first)
    for k, level in enumerate(levels[1:], 1):
        ids = blocks.path[level]
        first, end = blocks.first[level], blocks.end[level]
        columns = (
            np.log1p(alike[ids]),
            everywhere[ids] / total_prose,
            np.log1p(everywhere[ids] / alike[ids]),
            proses.between(first, end) / np.maximum(everywhere[ids], 1),
            np.log1p(first - earliest[ids]),
            hits.between(first, end),
            hits.between(first, end) / (1 + np.log1p(proses.between(first, end))),
        )
        names = ["alike", "alike prose share", "alike mean", "own share", "after first", "title words", "title rate"]
        table.add([f"{name} {k} up" for name in names], columns)
    # Where the title stands, and the first running text after it.
    title, start = _start(blocks, told, prose, link, (own & _HEADINGS) > 0)
    for name, at in (("title", title), ("start", start)):
        if at < 0:
            columns = (0.0, -60, -1, 0, 0, 0, 0)
        else:
            here = np.full(count, at)
            low, high = np.minimum(here, index), np.maximum(here, index)
            columns = (
                1.0,
                np.clip(index - at, -50, 50),
                _steps(blocks, int(blocks.element[at]), index),
                np.log1p(np.maximum(proses.between(low, high), 0)),
                np.log1p(links.between(low, high)),
                np.log1p(_longest(link > 0.5, low, high, at)),
                links.between(low, high) / np.maximum(sizes.between(low, high), 1),
            )
        names = ["has", "after", "steps to", "prose since", "links since", "link run since", "link rate since"]
        table.add([f"{n} {name}" for n in names], columns)
    if start >= 0:
        numbers = [blocks.element, blocks.kind[blocks.element], blocks.path[blocks.element]]
        numbers += [blocks.parent[blocks.element], blocks.path[levels[1]]]
        columns = [ids == ids[start] for ids in numbers]
    else:
        columns = (0.0, 0.0, 0.0, 0.0, 0.0)
    table.add([f"start's {name}" for name in ("element", "kind", "path", "parent", "parent's path")], columns)
    heading = (own & _HEADINGS) > 0
    base = np.vstack(
        [said["log chars"], link, said["ends with stop"], heading, np.log1p(prose), said["digits"], told[:, 1]]
    )
    same = np.vstack([blocks.element, blocks.kind[blocks.element], blocks.path[blocks.element]]) + 1
    for step in (-3, -2, -1, 1, 2, 3):
        table.add([f"{name} {step:+d}" for name in _NEIGHBOURS], _beside(base, step))
        if abs(step) == 1:
            names = [f"same {name} {step:+d}" for name in ("element", "kind", "path")]
            table.add(names, _beside(same, step) == same)
    for reach in (3, 8):
        low, high = np.maximum(index - reach, 0), np.minimum(index + reach + 1, count)
        near_link = links.between(low, high) / np.maximum(sizes.between(low, high), 1)
        columns = (np.log1p(np.maximum(proses.between(low, high), 0)), near_link)
        table.add([f"prose within {reach}", f"link within {reach}"], columns)
    times: dict[str, int] = {}
    before = []
    for block in blocks.texts:
        seen = times.get(block, 0)
        before.append(seen)
        times[block] = seen + 1
    table.add("seen before", np.minimum(before, 5))
    table.add("times", np.minimum([times[block] for block in blocks.texts], 6))
    for name, values in (votes or {}).items():
        table.add(f"vote of {name}", values)
    return table.rows(), table.names


@dataclass(frozen=True)
class BlockModel:
    """Says of each block how likely it belongs to the main text.

    Attributes:
        columns: the columns of `features` that are looked at.
        net: turns them into log odds.
        threshold: the probability from which a block belongs to the main text.
    """

    columns: tuple[str, ...]
    net: Net
    threshold: float

    def scores(self, blocks: Blocks, votes: Mapping[str, Array] | None = None) -> Floats:
        """Return the probability that each block belongs to the main text."""
        if not blocks.texts:
            return np.zeros(0, dtype=np.float32)
        rows, names = features(blocks, votes)
        return sigmoid(self.net(rows[:, _places(self.columns, tuple(names))]))


@lru_cache(maxsize=8)
def _places(columns: tuple[str, ...], names: tuple[str, ...]) -> Array:
    """Return where in the names each column stands; pages share them, and to look takes longer than to compute."""
    at = {name: number for number, name in enumerate(names)}
    return np.array([at[column] for column in columns])


def models_from_store(model: Model) -> dict[str, BlockModel]:
    """Return the models that `models_to_store` took apart, by name."""
    return {
        name: BlockModel(tuple(header["columns"]), _net_from(model.arrays, name, header["layers"]), header["threshold"])
        for name, header in model.header.items()
    }


def models_to_store(models: Mapping[str, BlockModel]) -> Model:
    """Return models as plain arrays and JSON values."""
    arrays: dict[str, Array] = {}
    header: dict[str, Any] = {}
    for name, model in models.items():
        depths = [len(layers) for layers in model.net.layers]
        header[name] = {"columns": list(model.columns), "threshold": model.threshold, "layers": depths}
        arrays |= {f"{name}.mean": model.net.mean, f"{name}.scale": model.net.scale}
        for member, layers in enumerate(model.net.layers):
            for depth, (weights, bias) in enumerate(layers):
                arrays |= {f"{name}.{member}.{depth}.weights": weights, f"{name}.{member}.{depth}.bias": bias}
    return Model(arrays, header)


_OVERRIDE: ContextVar[Mapping[str, BlockModel] | None] = ContextVar("block_models", default=None)


@contextmanager
def using(models: Mapping[str, BlockModel]) -> Iterator[None]:
    """Use other models within a `with` block, for instance some that have not seen the pages they are measured on."""
    token = _OVERRIDE.set(models)
    try:
        yield
    finally:
        _OVERRIDE.reset(token)


@lru_cache(maxsize=1)
def shipped_models() -> dict[str, BlockModel]:
    """Return the models that come with the package; loaded once per process.

    Raises:
        ModelError: they cannot be loaded.
    """
    return models_from_store(load_model("blocks"))


def main_text(blocks: Blocks, votes: Mapping[str, Array] | None = None) -> str:
    """Return the text of the blocks that belong to the main text, one a line; the cells of a table row share one.

    Args:
        blocks: of one page.
        votes: what `votes_of` gives; None to go without.

    Raises:
        ModelError: the model cannot be loaded.
    """
    model = (_OVERRIDE.get() or shipped_models())["voted" if votes else "alone"]
    keep = model.scores(blocks, votes) >= model.threshold
    _keep_tables(blocks, keep)
    kept = np.flatnonzero(keep).tolist()
    pieces: list[str] = []
    for at, number in enumerate(kept):
        before = kept[at - 1] if at else number
        if at:
            pieces.append(_CELL if _is_next_cell(blocks, before, number) else "\n")
        pieces.append(blocks.texts[number])
    return "".join(pieces)


def _keep_tables(blocks: Blocks, keep: Array) -> None:
    """Take the tables that stand beside the paragraphs taken: most texts to learn from leave them out, readers do not.

    A table counts as beside them when the element around it holds two blocks taken elsewhere than in the table, and
    not as one where much of it is links.
    """
    sizes = _Sums.of(np.array([len(text) for text in blocks.texts]))
    links = _Sums.of(blocks.links)
    for table in np.flatnonzero(blocks.mask & _TAG_MASK["table"]).tolist():
        first, end, around = blocks.first[table], blocks.end[table], max(blocks.parent[table], 0)
        beside = np.concatenate(
            [blocks.element[blocks.first[around] : first], blocks.element[end : blocks.end[around]]]
        )
        taken = np.concatenate([keep[blocks.first[around] : first], keep[end : blocks.end[around]]])
        is_beside = (taken & ((beside == around) | (blocks.parent[beside] == around))).sum() >= _MIN_BESIDE
        if is_beside and links.between(first, end) <= _MAX_TABLE_LINKS * sizes.between(first, end):
            keep[first:end] = True


def _is_next_cell(blocks: Blocks, one: int, other: int) -> bool:
    """Return whether two blocks are short cells of a row; tables that lay out a page hold whole texts in a cell."""
    is_same_row = blocks.row[one] >= 0 and blocks.row[one] == blocks.row[other]
    is_short = max(len(blocks.texts[one]), len(blocks.texts[other])) <= _MAX_CELL_CHARS
    return bool(is_same_row and is_short and blocks.element[one] != blocks.element[other])


def votes_of(blocks: Blocks, texts: Mapping[str, str]) -> dict[str, Floats]:
    """Return for each text whether it holds the beginning and the end of each block, as 0, 0.5 or 1.

    Args:
        blocks: of one page.
        texts: what others take of it, by their names.
    """
    lines = "\n".join([text.replace("\n", " ") for text in blocks.texts])
    own = _NO_LETTERS_IN_LINE.sub("", lines.lower()).split("\n")
    ends = [(letters[:_PROBE_CHARS], letters[-_PROBE_CHARS:]) for letters in own]
    # Most blocks are short, their beginning is their end, and many are there several times.
    probes = {probe for pair in ends for probe in pair} - {""}
    votes = {}
    for name, text in texts.items():
        letters = _NO_LETTERS.sub("", text.lower())
        held = {probe for probe in probes if probe in letters}
        votes[name] = np.array([0.5 * ((head in held) + (tail in held)) for head, tail in ends], dtype=np.float32)
    return votes
