import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter import training
from filter.features import (
    CLASSES,
    LINE_FEATURES,
    Lines,
    alike,
    around,
    beside,
    buckets,
    context,
    dense,
    hits,
    stretches,
    within_body,
)
from filter.lines import LineModel, line_scores, threshold, using
from filter.store import load_model

SEEDS = Path(__file__).resolve().parent.parent / "seeds"
PRESETS = ("gentle", "balanced", "strict")
ARTICLE = [
    "The council voted on Monday to close the old bridge for repairs that are expected to last until the spring.",
    "Engineers had warned for years that the bridge, which was built in 1931, could no longer carry heavy lorries.",
    "“We had hoped to find another way, but the inspection left us no choice,” said the head of the roads office.",
    "Traffic will be led over the northern ring road, and the bus line to the station will run every ten minutes.",
]
CHROME = ["Share this article", "Facebook", "Twitter", "Subscribe to our newsletter", "Related articles", "Log in"]

line = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=40)
documents = st.lists(st.lists(line, max_size=12), max_size=4)


def flags(batch, value=False):
    return [np.full(len(lines), value, dtype=bool) for lines in batch]


def feature(name):
    return next(feature for feature in LINE_FEATURES if feature.__name__ == name)


# --- features


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Abc 12!", {"upper": 1, "lower": 2, "space": 1, "digit": 2, "stop": 1}),
        ("首页 > 正文", {"ideograph": 4, "space": 2, "divider": 1}),
        ("© 2024 | @me", {"mark": 1, "digit": 4, "divider": 1, "tag": 1, "lower": 2, "space": 3}),
        ("नमस्ते", {"lower": 6}),
        ("𝔘😀", {"upper": 1, "picture": 1}),
        ("", {}),
    ],
)
def test_characters_are_counted_by_class(text, expected):
    counts = Lines([["other", text, "x"]]).counts[1]
    assert {name: int(n) for name, n in zip(CLASSES, counts, strict=True) if n} == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("ends_with_stop", "He said so.", 1),
        ("ends_with_stop", "He said “so.”", 1),
        ("ends_with_stop", "Read more", 0),
        ("ends_with_stop", "", 0),
        ("ends_with_colon", "Tags:", 1),
        ("ends_with_dots", "and then …", 1),
        ("capital_share", "New York today", pytest.approx(2 / 3)),
        ("clock_or_date", "12:30, 01/02/2024", 3),
        ("glued_words", "FlechaTu suscripción", 1),
        ("inner_sentences", "One. Two. Three.", pytest.approx(np.log(3), rel=1e-5)),
        ("year_like", "from 1931 to 2024", 2),
        ("short_word_share", "go to the bridge", pytest.approx(0.75)),
        ("address_like", "see https://example.org", 1),
        ("longest_word", "a bridge", 6),
    ],
)
def test_a_line_has_its_number(name, text, expected):
    assert feature(name)(Lines([["before", text, "after"]]))[1] == expected


def test_lines_that_differ_in_a_number_are_repeats():
    lines = Lines([["3 comments", "Text", "12 comments"], ["12 comments"]])
    assert feature("said_before")(lines).tolist() == [False, False, True, False]
    assert lines.line_hash[0] == lines.line_hash[2] != lines.line_hash[1]


def test_words_of_the_article_are_told_from_words_beside_it():
    shares = feature("body_share")(Lines([[*ARTICLE, "the bridge was closed", "Facebook Twitter"]]))
    assert shares[-2] >= 0.75
    assert shares[-1] == 0


def test_neighbours_end_at_the_document():
    lines = Lines([["a", "b"], ["c"]])
    values = np.array([1.0, 2.0, 3.0])
    assert beside(lines, values, 1, -1).tolist() == [2, -1, -1]
    assert beside(lines, values, -1, -1).tolist() == [-1, 1, -1]
    assert around(lines, values, 5).tolist() == [1.5, 1.5, 3]


@pytest.mark.parametrize(
    ("kind", "first", "second", "same"),
    [
        ("shape", "Ann Lee, 3 May", "Bo Kim, 21 June", True),
        ("shape", "Ann Lee, 3 May", "Ann Lee; May", False),
        ("first word", "Posted by Ann", "posted on Monday", True),
        ("first word", "Posted by Ann", "Seen by Ann", False),
        ("last word", "12 comments", "No comments", True),
        ("last word", "12 comments", "Comments off", False),
        ("words", "12 comments", "7 comments", True),
        ("words", "12 comments", "12 replies", False),
    ],
)
def test_lines_are_alike_within_their_document(kind, first, second, same):
    family = Lines([[first, "…", second], [second]]).families[("shape", "first word", "last word", "words").index(kind)]
    assert (family[0] == family[2]) is np.bool_(same)
    assert family[3] not in family[:3]


def test_the_mean_score_of_like_lines_leaves_the_line_itself_out():
    lines = Lines([["By Ann", "The end.", "By Bo"]])
    count, mean = alike(lines, np.array([0.9, 0.1, 0.5]))[:, 2:4].T
    np.testing.assert_allclose(count, [np.log(2), 0, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(mean, [0.5, -1, 0.9], rtol=1e-6)


def test_what_rules_found_is_told_to_the_neighbours_in_the_document():
    lines = Lines([["a", "b", "c", "d"], ["e"]])
    above, below = hits(lines, np.array([False, True, False, False, False]))[:, :2].T
    np.testing.assert_allclose(above, [6, 6, np.log(2), np.log(3), 6], rtol=1e-6)
    np.testing.assert_allclose(below, [np.log(2), 6, 6, 6, 6], rtol=1e-6)


def test_a_stretch_ends_at_a_paragraph_and_at_the_document():
    lines = Lines([["Home", "News", ARTICLE[0], "Share"], ["Log in"]])
    scores = np.array([0.8, 0.4, 0.0, 0.6, 1.0])
    mean, highest, lowest = stretches(lines, scores, np.zeros(5, dtype=bool))[:, :3].T
    np.testing.assert_allclose(mean, [0.6, 0.6, 0, 0.6, 1], rtol=1e-6)
    np.testing.assert_allclose(highest, [0.8, 0.8, 0, 0.6, 1], rtol=1e-6)
    np.testing.assert_allclose(lowest, [0.4, 0.4, 0, 0.6, 1], rtol=1e-6)


def test_a_line_knows_how_much_of_the_article_comes_before_it():
    lines = Lines([["x" * 10, "y" * 30, "z" * 60], ["w"]])
    share, before, after = within_body(lines, np.array([0.0, 0.5, 0.75, 0.0]))[:, :3].T
    np.testing.assert_allclose(share, [0, 0.25, 0.625, 0], atol=1e-6)
    np.testing.assert_allclose(before, np.log1p([0, 10, 25, 0]), rtol=1e-6)
    np.testing.assert_allclose(after, np.log1p([30, 15, 0, 0]), rtol=1e-6, atol=1e-6)


@given(documents)
def test_numbers_are_finite_and_one_row_per_line(batch):
    lines = Lines(batch)
    if not len(lines):
        return
    shape = dense(lines)
    assert shape.shape[0] == len(lines)
    assert np.isfinite(shape).all()
    scores = np.full(len(lines), 0.5, dtype=np.float32)
    marked = np.arange(len(lines)) % 3 == 0
    for numbers in (
        context(lines, scores),
        alike(lines, scores),
        hits(lines, marked),
        stretches(lines, scores, marked),
        within_body(lines, scores),
    ):
        assert numbers.shape[0] == len(lines)
        assert np.isfinite(numbers).all()
    for row, bucket in buckets(lines, 12):
        assert len(row) == len(bucket)
        assert not len(row) or (bucket.max() < 4096 and row.max() < len(lines))


@given(documents)
def test_a_document_is_judged_alike_alone_and_in_a_batch(batch):
    together = line_scores(batch, flags(batch))
    for own, scores in zip(batch, together, strict=True):
        assert scores.tolist() == line_scores([own], flags([own]))[0].tolist()
        assert ((scores >= 0) & (scores <= 1)).all()


# --- the shipped model


def test_chrome_is_found_and_the_article_is_spared():
    batch = [[*ARTICLE, *CHROME]]
    scores = line_scores(batch, flags(batch))[0]
    removed = scores >= threshold("balanced")
    assert not removed[: len(ARTICLE)].any()
    assert removed[len(ARTICLE) :].sum() >= 4


def test_marked_neighbours_make_a_line_more_suspect():
    lines = [*ARTICLE, "Facebook", "Morning brief", "Twitter", *ARTICLE]
    at = lines.index("Morning brief")
    hits = np.array([text in ("Facebook", "Twitter") for text in lines])
    plain, helped = (line_scores([lines], [marks])[0][at] for marks in (np.zeros_like(hits), hits))
    assert helped > plain


def cautious(logits, doc, cost, marked=None, sentences=None, **options):
    model = LineModel(None, None, None, **options)
    marked = np.zeros(len(logits), dtype=bool) if marked is None else np.array(marked)
    sentences = np.zeros(len(logits), dtype=bool) if sentences is None else np.array(sentences)
    return model.cautious(np.array(logits, dtype=np.float32), np.array(doc), np.array(cost), sentences, marked)


def test_a_long_line_needs_more_certainty():
    lowered = cautious([1.0, 1.0, 1.0], [0, 0, 0], [10, 40, 400], discount=0.5, free_chars=40)
    np.testing.assert_allclose(lowered, [1, 1, 1 - 0.5 * np.log(10)], rtol=1e-6)


def test_a_sentence_needs_more_certainty():
    lowered = cautious([1.0, 1.0], [0, 0], [10, 10], sentences=[False, True], sentence=0.5)
    np.testing.assert_allclose(lowered, [1, 0.5], rtol=1e-6)


def test_a_document_that_would_lose_much_needs_more_certainty():
    options = {"max_lost_share": 0.1}
    spared = cautious([3, 3, 3, -6, -6], [0, 0, 0, 1, 1], [100, 100, 100, 100, 900], **options)
    assert spared[0] < 3 and spared[2] < spared[1] < spared[0]  # all that is left of document 0 would go
    kept = cautious([3, -6, -6], [0, 0, 0], [20, 900, 900], **options)
    assert kept[0] == 3
    known = cautious([3, 3, -6], [0, 0, 0], [100, 20, 900], marked=[True, False, False], **options)
    assert known[1] == 3


@pytest.mark.parametrize(
    ("line", "cost"), [("Read more", 9), ("続きを読む", 15), ("댓글 달기", 13), ("อ่านต่อ", 21), ("12:30", 5), ("", 0)]
)
def test_letters_that_say_more_cost_more(line, cost):
    assert Lines([["x", line]]).cost.tolist() == [1, cost]


def test_presets_are_ordered():
    limits = [threshold(preset) for preset in PRESETS]
    assert limits == sorted(limits, reverse=True)
    assert all(0 < limit < 1 for limit in limits)


def test_a_clean_article_stays_whole():
    text = (SEEDS / "001_1f6233480e7d9e5c.txt").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    scores = line_scores([lines], flags([lines]))[0]
    gone = [text for text, score in zip(lines, scores, strict=True) if score >= threshold("balanced")]
    assert sum(map(len, gone)) <= 0.01 * len(text), gone


def test_flags_must_match_the_lines():
    with pytest.raises(ValueError, match="one flag per line"):
        line_scores([["a", "b"]], [np.zeros(1, dtype=bool)])
    assert line_scores([], []) == []
    assert [len(scores) for scores in line_scores([[], ["a"], []], flags([[], ["a"], []]))] == [0, 1, 0]


def test_a_batch_of_ordinary_text_goes_fast():
    batch = [[*ARTICLE, *CHROME] * 8] * 60
    line_scores(batch[:2], flags(batch[:2]))
    start = time.process_time()
    line_scores(batch, flags(batch))
    rate = sum(len(text) for lines in batch for text in lines) / 1e6 / (time.process_time() - start)
    assert rate >= 0.5, f"{rate:.2f} MB/s"  # 3 and more on an idle machine


# --- training


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Models learned twice from the same forty made-up pages of twenty sites."""
    data = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for name in ("clean", "classify", "lang"):
        (data / name).mkdir()
    pages = []
    for number in range(40):
        prose = [" ".join(random.choice(ARTICLE).split()[:-3]) + "." for _ in range(6)]
        lines = [{"text": text, "label": 0} for text in prose]
        lines += [{"text": f"{text} {number}", "label": 1} for text in random.choice(CHROME, 4)]
        lines.append({"text": "By A. Author", "label": 1, "ignore": "meta"})
        url = {"domain": f"site{number // 2}.example", "lang": ("en", "de", "fr")[number % 3]}
        pages.append({"id": str(number), "view": "full" if number % 4 == 0 else "trec", **url, "lines": lines})
    for source in training.SOURCES:
        write_xz(data / "clean" / f"lines.{source}.jsonl.xz", pages if source == "wcxb" else [])
    write_xz(data / "classify" / "dev_human.jsonl.gz", [{"id": "h", "lang": "en", "text": "\n".join(ARTICLE)}])
    (data / "lang" / "dev.jsonl").write_text("", encoding="utf-8")
    gold = data / "gold.jsonl"
    gold.write_text("".join(json.dumps(gold_row(number)) + "\n" for number in range(20)), encoding="utf-8")
    outs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_BITS", 14)
        for name in ("one", "two"):
            outs.append(tmp_path_factory.mktemp(name))
            training.train_lines(data, outs[-1], folds=outs[-1] / "folds", gold=[gold])
    return outs


def gold_row(number):
    """Return a reviewed document in which two lines were decided on, one of them only in part, and one was not."""
    lines = ["Become a friend of the lighthouse fund", ARTICLE[number % len(ARTICLE)], "Nobody looked at this"]
    text = "\n".join(lines) + "\n"
    spans = [
        {"start": 0, "end": len(lines[0]), "label": "boilerplate"},
        {"start": len(lines[0]) + 10, "end": len(lines[0]) + 1 + len(lines[1]), "label": "content"},
    ]
    return {"id": str(number), "url": f"https://reviewed{number}.example/", "text": text, "spans": spans}


def write_xz(path, rows):
    import gzip
    import lzma

    with (gzip.open if path.suffix == ".gz" else lzma.open)(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def test_training_twice_gives_the_same_bytes(trained):
    one, two = trained
    for name in ("lines.npz", "lines.md", "manifest.json", "folds/lines-3.npz"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_what_was_learned_carries_over_to_a_new_page(trained):
    model = LineModel.from_store(load_model("lines", trained[0]))
    page = [*ARTICLE, *CHROME]
    with using(model):
        scores = line_scores([page], flags([page]))[0]
    assert scores[: len(ARTICLE)].mean() + 0.1 < scores[len(ARTICLE) :].mean()
    assert line_scores([page], flags([page]))[0].tolist() != scores.tolist()


def test_what_people_decided_is_learned(trained, tmp_path):
    (tmp_path / "gold.jsonl").write_text(json.dumps(gold_row(0)) + "\n", encoding="utf-8")
    [page] = training.gold_pages([tmp_path / "gold.jsonl"])
    assert (page.labels, page.scored, page.domain) == ([1, 0, 0], [True, True, False], "reviewed0.example")
    model = LineModel.from_store(load_model("lines", trained[0]))
    lines = [
        *ARTICLE[:3],
        "Become a friend of the lighthouse fund",
        "Painters of the new wave met on the hill",
        *ARTICLE[3:],
    ]
    with using(model):
        scores = line_scores([lines], flags([lines]))[0]
    assert scores[3] > scores[4] + 0.1
    assert "labelled by whoever trained this" in (trained[0] / "lines.md").read_text(encoding="utf-8")


def test_a_fold_model_has_not_seen_its_fold(trained):
    models = [LineModel.from_store(load_model(f"lines-{fold}", trained[0] / "folds")) for fold in range(training.FOLDS)]
    assert len({model.text.weights.tobytes() for model in models}) == training.FOLDS


def test_the_card_names_data_and_limits(trained):
    card = (trained[0] / "lines.md").read_text(encoding="utf-8")
    for text in ("CC BY 4.0, Murrough Foley", "waddle", "balanced", "## Limits"):
        assert text in card


def test_a_thinned_page_has_all_of_the_article_and_some_of_the_rest():
    labels = [1] * 60 + [0] * 6 + [1] * 60
    lines = [f"{'boilerplate' if label else 'article'} {i}" for i, label in enumerate(labels)]
    pages = [training.Page("wcxb", "full", "a.example", "en", lines, labels, [i % 9 > 0 for i in range(126)])] * 9
    extracted = training.replace(pages[0], view="trec")
    found = list(training.thinned([*pages, extracted]))
    assert {page.view for page in found} == {training.THINNED}
    assert len({len(page.lines) for page in found}) > 1
    for page in found:
        assert [text for text in page.lines if text.startswith("article")] == lines[60:66]
        assert len(page.lines) < len(lines)
        assert page.lines == [text for text in lines if text in set(page.lines)]
        for text, label, scored in zip(page.lines, page.labels, page.scored, strict=True):
            number = int(text.split()[1])
            assert (label, scored) == (labels[number], number % 9 > 0)


def test_a_net_learns_what_a_line_cannot():
    random = np.random.default_rng(1)
    inputs = random.standard_normal((4000, 2)).astype(np.float32)
    labels = (inputs[:, 0] * inputs[:, 1] > 0).astype(np.int8)
    options = {"hidden": (16,), "epochs": 20, "dropout": 0.0, "seeds": (1,), "batch": 64}
    net = training.fit_net(inputs, labels, np.ones(4000), **options)
    assert np.mean((net(inputs) > 0) == labels) > 0.95


# --- the labelled data


def test_the_shipped_model_takes_next_to_nothing_from_genuine_texts(shared_dir):
    pages = [page.lines for page in training.read_genuine(shared_dir)][::4]
    scores = line_scores(pages, flags(pages))
    removed = sum(
        len(t)
        for p, s in zip(pages, scores, strict=True)
        for t, x in zip(p, s, strict=True)
        if x >= threshold("balanced")
    )
    assert removed <= 0.002 * sum(len(text) for page in pages for text in page)
