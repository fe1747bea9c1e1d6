import json
import lzma
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml.html import document_fromstring

from filter import training_blocks
from filter.blocks import (
    BlockModel,
    Blocks,
    _longest,
    features,
    main_text,
    models_from_store,
    models_to_store,
    read_blocks,
    shipped_models,
    unnamed,
    using,
    votes_of,
)
from filter.lines import Net
from filter.store import load_model
from filter.training import FOLDS, fold_of
from filter.training_blocks import gold_shares, train_blocks

SENTENCES = (
    "The river rose two metres overnight, and the old bridge was closed to all traffic until Thursday morning.",
    "Engineers from the county said that the piers stood firm; the mayor spoke of a lucky escape for the town.",
    "Schools on both banks stay shut for the rest of the week, and the ferry runs every half an hour instead.",
)


def blocks_of(body: str) -> Blocks:
    return read_blocks(document_fromstring(f"<html><head><title>T</title></head><body>{body}</body></html>"))


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        pytest.param("<p>One<p>Two", ["One", "Two"], id="paragraphs"),
        pytest.param("<div>One <b>and</b> a <i>half</i><div>Two</div>Three</div>", ["One and a half", "Two", "Three"]),
        pytest.param("One<br>Two<hr>Three", ["One", "Two", "Three"], id="line breaks"),
        pytest.param("<pre>a\n  b<br>c</pre>", ["a\n  b\nc"], id="preformatted"),
        pytest.param("<script>x</script><style>y</style>One<svg><text>z</text></svg>", ["One"], id="no text"),
        pytest.param("<a href=x><div>One</div><div>Two</div></a>", ["One", "Two"], id="blocks in a link"),
        pytest.param("  <p> \n </p>\u00a0", [], id="blank"),
        pytest.param("<x-y>One</x-y><p>Two", ["One", "Two"], id="unknown tag"),
        pytest.param("<table><tr><td>a<td>b<tr><td>c</table>", ["a", "b", "c"], id="cells"),
    ],
)
def test_blocks_are_what_stands_between_breaks(body, texts):
    assert blocks_of(body).texts == texts


def test_links_and_bold_are_counted_in_characters():
    blocks = blocks_of("<p>One <a href=x>two <b>three</b></a> <strong>four</strong></p><a href=x><div>five</div></a>")
    assert blocks.links.tolist() == [len("two three"), len("five")]
    assert blocks.strong.tolist() == [len("threefour"), 0]


def test_elements_know_their_blocks_and_what_is_around_them():
    blocks = blocks_of("<div class='article-body'><p>One<p>Two</div><aside><p>Three</aside>")
    body, div, first, _, aside, last = range(6)
    assert blocks.parent.tolist() == [-1, body, div, div, body, aside]
    spans = list(zip(blocks.first.tolist(), blocks.end.tolist(), strict=True))
    assert (spans[body], spans[div], spans[aside]) == ((0, 3), (0, 2), (2, 3))
    assert blocks.around[first] & blocks.mask[div] == blocks.mask[div] != 0
    assert not blocks.around[last] & blocks.mask[div]
    assert blocks.kind[blocks.element[0]] == blocks.kind[blocks.element[1]] != blocks.kind[blocks.element[2]]


def test_blocks_that_are_left_stand_in_the_same_elements():
    blocks = blocks_of("<div class='article-body'><p>One<p>Two</div><aside><p>Three</aside>")
    left = blocks.only(np.array([False, True, True]))
    body, div, aside = 0, 1, 4
    assert left.texts == ["Two", "Three"]
    assert [(left.first[i], left.end[i]) for i in (body, div, aside)] == [(0, 2), (0, 1), (1, 2)]
    assert left.parent.tolist() == blocks.parent.tolist()
    features(left)


def test_unnamed_pages_keep_old_tags_only():
    blocks = unnamed(blocks_of("<table class=comments><tr><td id=x>One<td><h2>Two</h2></table><aside>Three</aside>"))
    plain = unnamed(blocks_of("<table><tr><td>One<td><h2>Two</h2></table><div>Three</div>"))
    assert blocks.mask.tolist() == plain.mask.tolist() and blocks.mask.any()


@pytest.mark.parametrize(
    ("head", "title", "start"),
    [
        pytest.param("<title>Bridge closed after the flood - The Daily</title>", 2, 3, id="title"),
        pytest.param("<meta property=og:title content='Bridge closed after the flood'>", 2, 3, id="og:title"),
        pytest.param("<title>The Daily</title>", -1, -1, id="of the site only"),
        pytest.param("", -1, -1, id="none"),
        pytest.param("<title>\u6a4b\u6881\u5c01\u9589</title>", 4, -1, id="words not set apart"),
    ],
)
def test_the_title_is_found_and_the_text_after_it(head, title, start):
    body = (
        f"<p>{SENTENCES[2]}<p>Home<p><b>Bridge closed after the flood</b><p>{SENTENCES[0]}<p>\u6a4b\u6881\u5c01\u9589"
    )
    blocks = read_blocks(document_fromstring(f"<html><head>{head}</head><body>{body}</body></html>"))
    rows, names = features(blocks)
    found = dict(zip(names, rows.T, strict=True))
    assert found["has title"].all() == (title >= 0) and found["has start"].all() == (start >= 0)
    if title >= 0:
        assert found["after title"].tolist() == [i - title for i in range(5)]
    if start >= 0:
        assert found["after start"].tolist() == [i - start for i in range(5)]


def test_the_longest_run_of_links_between_is_counted():
    hit = np.array([True, True, False, True, False])
    low, high = np.minimum(2, np.arange(5)), np.maximum(2, np.arange(5))
    assert _longest(hit, low, high, 2).tolist() == [2, 1, 0, 0, 1]


@given(
    st.lists(
        st.sampled_from(
            [
                "<p>",
                "</p>",
                "<div class='Comment-list'>",
                "</div>",
                "<td>",
                "<a href=x>",
                "</a>",
                "é. ",
                "川",
                "\U0010ffff",
                " x, ",
            ]
        ),
        max_size=30,
    )
)
def test_numbers_are_finite_whatever_the_page(pieces):
    blocks = blocks_of("".join(pieces) + "<p>end")
    rows, names = features(blocks, votes_of(blocks, {"x": "end"}))
    assert rows.shape == (len(blocks.texts), len(names)) == (len(blocks.texts), len(set(names)))
    assert np.isfinite(rows).all()
    for model in shipped_models().values():
        votes = votes_of(blocks, {"trafilatura": "end", "resiliparse": ""})
        scores = model.scores(blocks, votes)
        assert scores.shape == (len(blocks.texts),) and ((scores >= 0) & (scores <= 1)).all()


def test_models_come_back_from_the_store_as_they_were():
    models = shipped_models()
    again = models_from_store(models_to_store(models))
    blocks = blocks_of("".join(f"<p>{sentence}" for sentence in SENTENCES))
    assert set(again) == set(models) == {"alone", "voted"}
    np.testing.assert_array_equal(again["alone"].scores(blocks), models["alone"].scores(blocks))


class Everything:
    threshold = 0.5

    def scores(self, blocks, votes):
        return np.ones(len(blocks.texts))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<table><tr><td>a<td>b<tr><td>c<td>d</table>", "a | b\nc | d"),
        (f"<table><tr><td>{'a' * 101}<td>b</table>", f"{'a' * 101}\nb"),
        ("<table><tr><td><p>a<p>b</table><p>c", "a | b\nc"),
    ],
    ids=["cells", "a table that lays out the page", "paragraphs in a cell"],
)
def test_cells_of_a_row_share_a_line(body, text):
    with using({"alone": Everything()}):
        assert main_text(blocks_of(body)) == text


@pytest.mark.parametrize(
    ("blocks", "gold", "shares"),
    [
        pytest.param(["a b c d e", "x y z w v"], "a b c d e", [1, 0], id="in it and not"),
        pytest.param(["a b c d x x x x"], "a b c d", [0.5], id="half"),
        pytest.param(["a b c d", "e", "x y z w"], "a b c d e", [1, 0.5, 0], id="short, in mixed company"),
        pytest.param(["a b c d", "e", "f g h i"], "a b c d e f g h i", [1, 1, 1], id="short, in good company"),
        pytest.param(["x y z w", "e", "x y z w"], "a b c d e", [0, 0, 0], id="short, in bad company"),
        pytest.param(
            ["a b c d", *["x y z w"] * 5, "a b c d", "e f g h"], "a b c d e f g h", [*[0] * 6, 1, 1], id="copy"
        ),
        pytest.param(["a b c d", ""], "a b c d", [1, 0.5], id="no words"),
    ],
)
def test_what_share_of_a_block_is_in_the_main_text(blocks, gold, shares):
    assert gold_shares([block.split() for block in blocks], gold.split()).tolist() == shares


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "clean"
    folder.mkdir()
    rows = []
    for number in range(3 * FOLDS):
        story = "".join(f"<p>{sentence} {number}.</p>" for sentence in SENTENCES)
        menu = "".join(f"<li><a href='/{n}'>Section {n} of page {number}</a></li>" for n in range(20))
        html = f"<html><body><ul class=menu>{menu}</ul><div class=text>{story}</div></body></html>"
        gold = "\n".join(f"{sentence} {number}." for sentence in SENTENCES)
        rows.append({"domain": f"site{number}.example", "lang": "en", "gold": gold, "html": html})
    snippets = {"with": [SENTENCES[0]], "without": ["Section 3"], "gold": None}
    for source in training_blocks.SOURCES:
        own = {"fundus": rows, "trafeval": [{**row, **snippets} for row in rows[:3]]}.get(source, [])
        with lzma.open(folder / f"html.{source}.jsonl.xz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in own)
    return folder.parent


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folders = [tmp_path_factory.mktemp("models") for _ in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_blocks, "_fit", partial(training_blocks._fit, seeds=(0,), batch=16))
        for folder in folders:
            train_blocks(data, folder, folds=folder / "folds")
    return folders


@pytest.mark.parametrize(
    ("body", "is_kept"),
    [
        pytest.param("<p>aa<p>bb</p><table><tr><td>c<td>d</table>", True, id="beside two paragraphs"),
        pytest.param("<p>aa</p><table><tr><td>c<td>d</table><div>bb</div>", True, id="between them"),
        pytest.param("<p>aa</p><table><tr><td>c<td>d</table>", False, id="beside one"),
        pytest.param("<div><p>aa<p>bb</div><div><table><tr><td>c</table></div>", False, id="somewhere else"),
        pytest.param("<p>aa<p>bb</p><table><tr><td><a href=x>c</a></table>", False, id="of links"),
    ],
)
def test_tables_beside_what_is_taken_are_taken(body, is_kept):
    class LongOnes:
        threshold = 0.5

        def scores(self, blocks, votes):
            return np.array([float(len(text) > 1) for text in blocks.texts])

    with using({"alone": LongOnes()}):
        assert ("c" in main_text(blocks_of(body))) == is_kept


def test_the_same_pages_give_the_same_models(trained):
    for name in ("blocks.npz", "blocks.md", "manifest.json", "folds/blocks-3.npz"):
        assert (trained[0] / name).read_bytes() == (trained[1] / name).read_bytes()


def test_of_joined_networks_half_see_the_last_columns():
    random = np.random.default_rng(7)

    def model(columns):
        size = len(columns)
        layers = ((random.random((size, 3)), random.random(3)), (random.random((3, 1)), random.random(1)))
        return BlockModel(columns, Net(np.zeros(size), np.ones(size), (layers,)), 0.5)

    alone, told = model(("a", "b")), model(("a", "b", "vote"))
    rows = random.random((5, 3))
    joined = training_blocks._joined(alone, told)
    assert joined.columns == told.columns
    np.testing.assert_allclose(joined.net(rows), (alone.net(rows[:, :2]) + told.net(rows)) / 2, rtol=1e-6)


def test_a_model_tells_text_from_menu_on_a_site_it_has_not_seen(trained, data):
    with lzma.open(data / "clean" / "html.fundus.jsonl.xz", "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            models = models_from_store(load_model(f"blocks-{fold_of(row['domain'])}", trained[0] / "folds"))
            with using(models):
                assert main_text(read_blocks(document_fromstring(row["html"]))) == row["gold"]


def test_the_card_says_what_was_learned_from_and_what_not(trained):
    card = (trained[0] / "blocks.md").read_text(encoding="utf-8")
    assert "waddle" in card and "| voted | fundus |" in card
    assert not any(source in ("waddle", "mozilla") for source in training_blocks.SOURCES)
