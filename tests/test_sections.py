"""The section classifier: what it marks, what it leaves alone, and that nothing breaks it."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter import section_features as sf
from filter.config import Config
from filter.document import Document, Span
from filter.rules import load_packs
from filter.section_model import Evidence, Trees, runs
from filter.sections import _model, classify_sections, mark_sections
from filter.segment import segment

from .conftest import cases

ROOT = Path(__file__).resolve().parent.parent


def classified(text, lang="en"):
    document = segment(Document(text))
    document = document.with_spans(replace(span, lang=lang) for span in document.spans)
    return classify_sections([document], Config())[0]


@pytest.mark.parametrize("case", list(cases("sections.jsonl")))
def test_line_labels(case):
    document = classified(case["text"], case.get("lang", "en"))
    assert [span.label for span in document.spans] == case["labels"]


def seed_with_filler():
    """The seed with a second story, with what the cleaner takes for boilerplate marked as such."""
    text = (ROOT / "seeds" / "002_7a8349eba1df39b9.txt").read_text(encoding="utf-8")
    document = segment(Document(text))
    spans = []
    for span in document.spans:
        line = text[span.start : span.end].strip()
        label = (
            "boilerplate"
            if line in ("Ad Feedback", "Tags:") or line.startswith(("#Rubio", "Rubio, ", "You must"))
            else "content"
        )
        spans.append(replace(span, lang="en", label=label))
    return document.with_spans(spans)


def test_seed_with_filler_is_marked_from_its_headline_to_its_last_line():
    document = classify_sections([seed_with_filler()], Config())[0]
    text = document.text
    marked = [text[s.start : s.end].strip() for s in document.spans if s.label == "ai_padding"]
    assert len(marked) == 5
    assert marked[0].startswith("Rubio and Bukele to discuss")
    assert marked[-1].startswith("Stay tuned")
    assert all(s.source == "model:sections" and s.reasons and 0.9 < s.score <= 1 for s in document.flagged)


@pytest.mark.parametrize(
    "name", ["000_2250a9de4665a87c", "001_1f6233480e7d9e5c", "003_593e6f1f312c513b", "004_76a03f6ec5875e14"]
)
def test_genuine_seeds_are_left_alone(name):
    text = (ROOT / "seeds" / f"{name}.txt").read_text(encoding="utf-8")
    document = segment(Document(text))
    spanish = [i for i, span in enumerate(document.spans) if " que " in text[span.start : span.end]]
    document = document.with_spans(
        replace(span, lang="es" if i in spanish else "en") for i, span in enumerate(document.spans)
    )
    assert classify_sections([document], Config())[0].spans == document.spans


def test_filler_is_not_looked_for_in_a_language_without_machine_written_training_text():
    text = (ROOT / "seeds" / "002_7a8349eba1df39b9.txt").read_text(encoding="utf-8")
    document = classified(text, lang="de")
    assert not any(span.label == "ai_padding" for span in document.spans)


def test_review_lists_what_is_nearly_flagged_and_leaves_the_partition_alone():
    document = seed_with_filler()
    limits = {"en": 2.0, "offers": 3.0}
    bold = replace(_model(), settings=_model().settings | {"threshold": limits, "offer_odds": 3.0, "review": limits})
    shy = replace(bold, settings=bold.settings | {"threshold": {"en": 99.0}, "offer_odds": 99.0})
    none = load_packs(shipped=False)
    (flagged,) = mark_sections([document], bold, none)
    (listed,) = mark_sections([document], shy, none, review=True)
    flags = [span for span in flagged.flagged if span.source == "model:sections"]
    assert flags and flagged.review is None
    assert listed.review == tuple(flags)
    assert not any(span.source == "model:sections" for span in listed.spans)
    # What is flagged need not be looked for again.
    (both,) = mark_sections([document], bold, none, review=True)
    assert both.review == () and both.spans == flagged.spans


HOSTILE = {
    "empty": "",
    "blanks": " \n\t\n ",
    "one word": "word",
    "one letter, long": "a" * 200_000,
    "one line break, long": "\n" * 100_000,
    "apostrophes": "'" * 50_000,
    "lone surrogate": "x\ud800y " * 40,
    "control characters": "".join(map(chr, range(32))) * 50,
    "astral": "😀🏳️‍🌈𒀀 " * 2000,
    "scripts": "ありがとう สวัสดี שלום مرحبا Ողջույն\n" * 50,
    "many short lines": "a\n" * 20_000,
    "numbers": "1,000.50 " * 100_000,
    "combining marks": "a" + "\u0301" * 100_000,
    "marks that turn the direction": "\u202e\u202d\u200f" * 10_000,
    "a script without training text": "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ ᎠᎴ ᏗᎪᏪᎵ " * 500,
    "private use": "\ue000\uf8ff " * 5000,
    "form feeds inside a line": "one\x0ctwo\x85three\u2028four " * 30,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("lang", ["en", "und", "xx"])
def test_hostile_text_is_labelled_or_left_alone(text, lang):
    document = classified(text, lang)
    assert "".join(document.text[s.start : s.end] for s in document.spans) == text


def test_shipped_model_knows_what_to_list_for_review():
    settings = _model().settings
    assert set(settings["review"]) == {*settings["threshold"], "offers"}
    assert settings["review"]["offers"] <= settings["offer_odds"]
    assert all(settings["review"][lang] <= limit for lang, limit in settings["threshold"].items())


LONG = {
    "one letter": "a" * 1_000_000,
    "one sign": "-" * 1_000_000,
    "one ideograph": "税" * 500_000,
    "one accented letter": "é" * 500_000,
    "one word": "word " * 100_000,
    "broken encoding": "Ã©" * 200_000,
    "dots": "a." * 200_000,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG.keys())
def test_long_lines_take_no_longer_than_their_length(text):
    # Whatever grows faster than the text would not come to an end here.
    (span,) = classified(text).spans
    assert (span.start, span.end) == (0, len(text))


@given(st.lists(st.text(max_size=60), max_size=8))
def test_any_text_keeps_its_partition_and_batches_change_nothing(texts):
    documents = [segment(Document(text)) for text in texts]
    documents = [d.with_spans(replace(s, lang="en") for s in d.spans) for d in documents]
    together = classify_sections(documents, Config())
    assert together == [classify_sections([d], Config())[0] for d in documents]
    assert [[(s.start, s.end) for s in d.spans] for d in together] == [
        [(s.start, s.end) for s in d.spans] for d in documents
    ]


def test_running_it_twice_changes_nothing():
    text = (ROOT / "seeds" / "002_7a8349eba1df39b9.txt").read_text(encoding="utf-8")
    once = classified(text)
    assert classify_sections([once], Config())[0] == once


@given(st.lists(st.text(alphabet="ab' .\n“”’\"é5", max_size=40), max_size=5))
def test_tokens_lie_in_order_inside_their_text(texts):
    tokens = sf.tokenize(texts)
    for number, text in enumerate(texts):
        part = slice(tokens.first[number], tokens.first[number + 1])
        assert (tokens.text[part] == number).all()
        assert (tokens.start[part] < tokens.end[part]).all() and (tokens.end[part] <= len(text)).all()
        assert (tokens.start[part][1:] >= tokens.end[part][:-1]).all()


def test_a_token_is_the_same_wherever_it_stands():
    alone, inside = sf.tokenize(["Walking"]), sf.tokenize(["x", "He was walking home."])
    assert alone.word[0] in inside.word and alone.suffix[0] == inside.suffix[inside.word == alone.word[0]][0]


@pytest.mark.parametrize(
    ("odds", "cost", "expected"),
    [
        ([-5, -5, 5, 5, -5], 2, [(2, 4)]),
        ([-5, 1, -5], 2, []),
        ([5, 5], 2, [(0, 2)]),
        ([5, -1, 5], 2, [(0, 3)]),
        ([], 2, []),
    ],
)
def test_runs(odds, cost, expected):
    assert runs(odds, [cost] * len(odds)) == expected


@given(st.lists(st.floats(-9, 9), max_size=9), st.floats(0, 5))
def test_runs_are_the_best_path(odds, cost):
    def value(marks):
        changes = sum(a != b for a, b in pairwise(marks))
        return sum(x for x, mark in zip(odds, marks, strict=True) if mark) - cost * changes

    best = max(value([bool(n >> i & 1) for i in range(len(odds))]) for n in range(1 << len(odds)))
    found = [any(a <= i < b for a, b in runs(odds, [cost] * len(odds))) for i in range(len(odds))]
    assert value(found) == pytest.approx(best)


def test_the_header_of_an_email_is_no_offer():
    letter = (
        "Date: Wed, 8 Sep 1999 08:50:00 From: ann@post.example To: bob@post.example Subject: minutes of the meeting\n"
        "Bob, the minutes of Monday are attached; please send me your corrections before the end of the week.\n"
    )
    assert {span.label for span in classified(letter).spans} == {"content"}


def test_trees_agree_with_the_library_that_grew_them():
    from sklearn.ensemble import HistGradientBoostingClassifier

    from filter.training_sections import _plain_trees

    random_ = np.random.default_rng(0)
    rows = random_.normal(size=(600, 5)).astype(np.float32)
    rows[random_.random(rows.shape) < 0.1] = np.nan
    target = (np.nan_to_num(rows[:, 0]) * np.nan_to_num(rows[:, 1]) > 0).astype(int)
    grown = [
        HistGradientBoostingClassifier(max_iter=20, max_depth=4, max_features=0.5, random_state=n).fit(rows, target)
        for n in range(2)
    ]
    trees = _plain_trees(grown, 4)
    stored = Trees.from_arrays(trees.arrays("t"), "t")
    assert np.allclose(stored(rows), np.mean([model.decision_function(rows) for model in grown], axis=0), atol=1e-4)


def test_a_retelling_stands_behind_what_it_retells_and_is_never_measured_on(tmp_path):
    from filter.training_sections import Example, _padded, text_id

    host = Example("The pool is closed.", ((0, 19, "human"),), "en", "pools", "l2r", "news", "human")
    rows = [
        {"of": text_id(host.text), "text": "In a surprising move, it closed."},
        {"of": "0" * 12, "text": "Of nothing."},
    ]
    (tmp_path / "retold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (made,) = _padded([host], tmp_path, for_spam=False)
    assert made.text == "The pool is closed.\nIn a surprising move, it closed."
    assert made.spans == ((0, 19, "human"), (20, 52, "ai_padding"))
    assert (made.topic, made.bucket, made.is_real) == ("pools", host.bucket, False)


@pytest.mark.parametrize("row", ["topic", "generator", "domain"])
def test_what_learned_from_a_retelling_never_judges_the_story(row):
    from benchmarks.left_out import splits
    from filter.training_sections import RETOLD, Example, _behind

    text = "The pool is closed."
    told = [
        Example(text, ((0, len(text), "human"),), "en", f"story {number}", "l2r", domain, "human")
        for number, domain in enumerate(["news", "fiction", "Business", "OnlineContent"] * 10)
    ]
    retold = [_behind(example, "In a surprising move, it closed.") for example in told]
    assert {example.generator for example in retold} == {RETOLD}
    judged = set()
    for _, is_seen, is_held in splits(row):
        learned = {example.topic for example in retold if is_seen(example)}
        held = {example.topic for example in told if is_held(example)}
        assert learned and held and not learned & held
        judged |= held
    assert len(judged) == len(told)


def test_evidence_survives_storing():
    table = np.zeros((1 << sf.BITS) + 1, dtype=np.float32)
    table[[3, 77]] = [0.5, -1.25]
    evidence = Evidence(table, table * 2, np.array([1.0, 2.0, 3.0]))
    again = Evidence.from_arrays(evidence.arrays("en"), "en")
    assert (again.word == evidence.word).all() and (again.shape == evidence.shape).all()


def test_shuffled_documents_get_the_same_labels():
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "seeds").glob("*.txt"))]
    texts += [case.values[0]["text"] for case in cases("sections.jsonl")]
    alone = [classified(text) for text in texts]
    order = list(range(len(texts)))
    random.Random(1).shuffle(order)
    documents = [segment(Document(texts[i])) for i in order]
    documents = [d.with_spans(Span(s.start, s.end, lang="en") for s in d.spans) for d in documents]
    assert classify_sections(documents, Config()) == [alone[i] for i in order]
    assert {span.label for document in alone for span in document.spans} == {
        "content",
        "ai_padding",
        "spam",
        "low_quality",
    }


def test_what_people_decided_becomes_an_example_for_training(tmp_path):
    from filter.training_sections import corpus, gold_examples

    text = "The people met on Monday, and spoke of the library.\nBuy this, half price, at our shop!\nSign in\n"
    cuts = [0, *(i + 1 for i, c in enumerate(text) if c == "\n")]
    labels = ["content", "spam", "boilerplate"]
    spans = [{"start": a, "end": b, "label": name} for (a, b), name in zip(pairwise(cuts), labels, strict=True)]
    rows = [
        {"id": "x", "text": text, "url": "https://a.example/1", "spans": spans},
        {"id": "y", "text": text, "spans": spans[2:]},  # says nothing about sections
    ]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    [example] = gold_examples([tmp_path / "gold.jsonl"])
    assert [(example.text[a:b].split()[0], name) for a, b, name in example.spans] == [("The", "human"), ("Buy", "spam")]
    assert (example.lang, example.topic, example.is_real) == ("en", "a.example", False)
    assert corpus([example]).labels.tolist() == [0, 2, -1]


def test_mail_to_learn_from_that_was_not_made_is_named(tmp_path):
    from filter.errors import UsageError
    from filter.training_sections import _mail

    with pytest.raises(UsageError, match=r"mail\.jsonl\.gz: not there; .*README\.md says how"):
        list(_mail(tmp_path / "mail.jsonl.gz"))
