"""Pages with a list grafted onto them: all that was there stays as it was; new elements nest like the others."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from lxml.html import document_fromstring

from filter.blocks import features, read_blocks
from filter.grafts import grafted

_PAGE = """<html><body><nav><a href=/>Home</a></nav><div id=main><div class=story><h1>Flood</h1>
<p>The river rose by two metres on Monday.</p><p>It fell again on Tuesday, said the mayor.</p></div>
<ul><li>About us</li></ul></div><footer>All rights reserved</footer></body></html>"""
_TEXTS = [
    "The court met on Monday, and three judges heard the case. It goes on.",
    "Rain is due in the south all week long.",
]
BLOCKS = read_blocks(document_fromstring(_PAGE))
LABELS = np.array([text.startswith(("The river", "It fell")) for text in BLOCKS.texts])


@given(st.integers(0, 2**32 - 1))
def test_grafts_leave_the_page_as_it_was_and_nest(seed):
    found = grafted(BLOCKS, LABELS, _TEXTS, np.random.default_rng(seed))
    assert found is not None
    blocks, before = found
    kept, old = before >= 0, len(BLOCKS.parent)
    assert before[kept].tolist() == list(range(len(BLOCKS.texts)))
    without = blocks.only(kept)
    for name in ("texts", "links", "strong", "inner", "element", "row", "broken"):
        assert list(getattr(without, name)) == list(getattr(BLOCKS, name))
    for name in ("parent", "first", "end", "mask", "around", "kind", "path"):
        assert getattr(without, name)[:old].tolist() == getattr(BLOCKS, name).tolist()
    parent = blocks.parent[1:]
    assert (blocks.first[parent] <= blocks.first[1:]).all()
    assert (blocks.end[parent] >= blocks.end[1:]).all()
    assert (blocks.around[1:] == blocks.around[parent] | blocks.mask[parent]).all()
    index = np.arange(len(blocks.texts))
    assert (blocks.first[blocks.element] <= index).all()
    assert (index < blocks.end[blocks.element]).all()
    assert (blocks.element[~kept] >= old).all()
    assert np.isfinite(features(blocks)[0]).all()


def test_the_same_seed_grafts_the_same():
    one, other = (grafted(BLOCKS, LABELS, _TEXTS, np.random.default_rng(7)) for _ in range(2))
    assert one is not None
    assert other is not None
    assert one[0].texts == other[0].texts
    assert all((a == b).all() for a, b in zip(one[0][1:-2], other[0][1:-2], strict=True))


def test_a_page_without_an_article_has_no_place_for_one():
    assert grafted(BLOCKS, np.zeros_like(LABELS), _TEXTS, np.random.default_rng(7)) is None
