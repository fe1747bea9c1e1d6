"""Pages as they might have been: with a list of teasers or a thread of comments beside the article.

Of the pages to learn from, few have a paragraph with each teaser, or comments in the page itself; many others do. Such
a list is the same few elements again and again, so it can be made: a heading that is a link, a date, some running text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .blocks import Blocks, mask_of

__all__ = ["grafted"]

Array = npt.NDArray[Any]

_THREADS = 0.3  # of the grafts are threads of comments
_BEFORE = 0.3  # stand before the article
_NAMED = 0.4  # have elements that say what they are
_MOST = 0.8  # of the article is in the element that the graft stands beside


@dataclass
class _Growth:
    """Elements and blocks that come to stand at one place of a page.

    Attributes:
        page: what it grows on.
        place: the number of the block before which it stands.
        texts, links, inner, element: the columns of its blocks.
        elements: parent, first block, block after the last, mask, masks around it, and role of its elements.
    """

    page: Blocks
    place: int
    texts: list[str] = field(default_factory=list)
    links: list[int] = field(default_factory=list)
    inner: list[int] = field(default_factory=list)
    element: list[int] = field(default_factory=list)
    elements: list[list[int]] = field(default_factory=list)

    def open(self, parent: int, role: int, mask: int) -> int:
        """Return the number of a new element; elements of one role share their tag and names."""
        known = len(self.page.parent)
        if parent < known:
            around = int(self.page.around[parent] | self.page.mask[parent])
        else:
            around = self.elements[parent - known][4] | self.elements[parent - known][3]
        here = self.place + len(self.texts)
        self.elements.append([parent, here, here, mask, around, role])
        return known + len(self.elements) - 1

    def close(self, number: int) -> None:
        self.elements[number - len(self.page.parent)][2] = self.place + len(self.texts)

    def leaf(self, parent: int, role: int, mask: int, text: str, *, is_link: bool = False) -> None:
        """Add an element with one block in it."""
        number = self.open(parent, role, mask)
        self.texts.append(text)
        self.links.append(len(text) if is_link else 0)
        self.inner.append(mask_of("a") if is_link else 0)
        self.element.append(number)
        self.close(number)

    def joined(self, parent: int) -> Blocks:
        """Return the page with what has grown, inside one of the page's elements."""
        page, place, count = self.page, self.place, len(self.texts)
        is_around = np.zeros(len(page.parent), dtype=bool)
        while parent >= 0:
            is_around[parent] = True
            parent = int(page.parent[parent])
        is_after = (page.first >= place) & ~is_around
        first = page.first + count * is_after
        end = page.end + count * (is_after | is_around)
        parents, firsts, ends, masks, arounds, roles = np.array(self.elements).T
        nothing = [0] * count

        def put(column: Array, values: Sequence[int]) -> Array:
            return np.concatenate([column[:place], np.array(values, dtype=column.dtype), column[place:]])

        return page._replace(
            texts=[*page.texts[:place], *self.texts, *page.texts[place:]],
            links=put(page.links, self.links),
            strong=put(page.strong, nothing),
            inner=put(page.inner, self.inner),
            element=put(page.element, self.element),
            row=put(page.row, [-1] * count),
            broken=put(page.broken, nothing),
            parent=np.append(page.parent, parents),
            first=np.append(first, firsts),
            end=np.append(end, ends),
            mask=np.append(page.mask, masks),
            around=np.append(page.around, arounds),
            kind=np.append(page.kind, page.kind.max() + 1 + roles),
            path=np.append(page.path, page.path.max() + 1 + roles),
        )


def grafted(
    blocks: Blocks, labels: Array, texts: Sequence[str], random: np.random.Generator
) -> tuple[Blocks, Array] | None:
    """Return a page with a list beside its article, and the number each of its blocks had before; -1 for new ones.

    Args:
        blocks: of the page.
        labels: which of them are the article.
        texts: paragraphs to take the list's words from.
        random: decides on place and looks.

    Returns:
        None where nothing stands beside the article.
    """
    found = _beside_article(blocks, labels, random)
    if found is None:
        return None
    parent, place = found
    growth = _Growth(blocks, place)
    _grow(growth, parent, texts, random, is_thread=bool(random.random() < _THREADS))
    before = np.arange(len(blocks.texts))
    return growth.joined(parent), np.insert(before, place, np.full(len(growth.texts), -1))


def _beside_article(blocks: Blocks, labels: Array, random: np.random.Generator) -> tuple[int, int] | None:
    """Return an element around the article and a place in it, rather near the article than far."""
    article = np.flatnonzero(labels)
    if not len(article):
        return None
    inside, pairs = int(blocks.element[article[len(article) // 2]]), []
    while blocks.parent[inside] >= 0:
        if labels[blocks.first[inside] : blocks.end[inside]].sum() >= _MOST * len(article):
            pairs.append((int(blocks.parent[inside]), inside))
        inside = int(blocks.parent[inside])
    if not pairs:
        return None
    parent, inside = pairs[random.integers(0, len(pairs), 2).min()]
    return parent, int(blocks.first[inside] if random.random() < _BEFORE else blocks.end[inside])


def _grow(growth: _Growth, parent: int, texts: Sequence[str], random: np.random.Generator, *, is_thread: bool) -> None:
    """Add a list of teasers, or a thread of comments; all of its items look alike."""
    chance = random.random
    is_named, is_list, is_dated, has_more = chance() < _NAMED, chance() < 0.5, chance() < 0.5, chance() < 0.3
    is_deep, is_long = chance() < 0.4, chance() < 0.3

    def names(share: float, *families: str) -> int:
        return sum(mask_of(family) for family in families if is_named and chance() < share)

    def text() -> str:
        return texts[int(random.integers(len(texts)))]

    def date() -> str:
        day, month, hour, minute = random.integers((1, 1, 0, 0), (29, 13, 24, 60)).tolist()
        return f"{day}.{month}.2012, {hour:02}:{minute:02}"

    kind = ("comment", "thread") if is_thread else ("teaser", "list", "related", "sidebar", "box")
    whole = growth.open(parent, 0, (mask_of("ul") if is_list else 0) | names(0.5, *kind))
    item_mask = (mask_of("li") if is_list else 0) | names(0.3, "list", "box", "article", *kind[:2])
    tag = ("h2", "h3", "h4", "")[int(random.integers(4))]
    head_mask = (mask_of(tag) if tag else 0) | names(0.3, "title")
    text_mask = (mask_of("p") if chance() < 0.6 else 0) | names(0.3, "body", kind[0])
    date_mask, link_mask = names(0.5, "meta"), names(0.3, "tools")
    has_head, has_linked_heads = chance() < 0.75, not is_thread or chance() < 0.5
    for _ in range(random.integers(3, 16)):
        item = growth.open(whole, 1, item_mask)
        inside = growth.open(item, 2, 0) if is_deep else item
        words = text().split()
        if has_head:
            low, high = (1, 4) if is_thread else (4, 13)
            head = " ".join(words[: random.integers(low, high)])[:120]
            growth.leaf(inside, 3, head_mask, head, is_link=has_linked_heads)
        if is_dated:
            growth.leaf(inside, 4, date_mask, date())
        own = text()[: random.integers(30, 700) if is_thread else random.integers(60, 400 if is_long else 220)]
        if not is_thread and chance() < 0.5:
            own = own[: own.find(".", 40) + 1] or own
        growth.leaf(inside, 5, text_mask, own)
        if has_more:
            growth.leaf(inside, 6, link_mask, words[0][:12], is_link=True)
        for number in {inside, item}:
            growth.close(number)
    growth.close(whole)
