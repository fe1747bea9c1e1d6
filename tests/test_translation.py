"""Translations inside one document: recognised, told from what only shares a topic, and aligned line by line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter import Config, Document, Span, pipeline, process, translation
from filter.command import main
from filter.translation import MIN_SCORE, aligned_pairs, features, score

from .conftest import ROOT, cases
from .toys import by_first_word

SEEDS = sorted((ROOT / "seeds").glob("*.txt"))


def read(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


ROWS = read(ROOT / "tests" / "cases" / "translations.jsonl")
ENGLISH, SPANISH = ROWS[0]["left"], ROWS[0]["right"]

words = st.sampled_from(
    ["Anna", "went", "to", "Łódź", "in", "1998", "中文", "ภาษาไทยภาษาไทย", "\n", ". ", "。", "4,500", "٣"]
)
texts = st.one_of(st.lists(words, max_size=30).map(" ".join), st.text(max_size=60))


@pytest.mark.parametrize("case", list(cases("translations.jsonl")))
def test_translations_and_what_only_looks_like_them(case):
    assert (score(case["left"], case["right"]) >= MIN_SCORE) == case["is_translation"]
    assert (score(case["right"], case["left"]) >= MIN_SCORE) == case["is_translation"]


@given(texts, texts)
def test_pairs_are_in_order_apart_and_inside_the_texts(left, right):
    at = [0, 0]
    for pair in aligned_pairs(left, right):
        for side, (text, (start, end)) in enumerate(zip((left, right), pair[:2], strict=True)):
            assert at[side] <= start < end <= len(text)
            assert text[start:end].strip()
            at[side] = end
        assert 0 <= pair.score <= 1
    assert 0 <= score(left, right) <= 1


def test_nothing_to_compare_is_no_translation():
    assert features("", "Hola\n") is None
    assert score(" \n", SPANISH) == 0.0


def test_a_line_without_a_partner_is_left_out_and_the_others_find_theirs():
    english, spanish = ENGLISH.splitlines(), SPANISH.splitlines()
    pairs = aligned_pairs(ENGLISH, "\n".join([*spanish[:2], *spanish[3:]]))
    found = [(ENGLISH[slice(*pair.left)], spanish.index(pair_text(pair, spanish))) for pair in pairs]
    assert found == [(english[number], number) for number in (0, 1, 3, 4, 5)]


def pair_text(pair, spanish):
    return "\n".join([*spanish[:2], *spanish[3:]])[slice(*pair.right)]


def test_windows_align_as_the_whole_does(monkeypatch):
    left = "".join(f"Line {n} of the list has {n * 7919 % 1000} words.\n" for n in range(60))
    right = "".join(f"La línea {n} de la lista tiene {n * 7919 % 1000} palabras.\n" for n in range(60))
    whole = aligned_pairs(left, right)
    monkeypatch.setattr(translation, "_MAX_LINES", 9)
    assert [pair[:2] for pair in aligned_pairs(left, right)] == [pair[:2] for pair in whole]
    assert len(whole) == 60


def test_seed_of_two_languages_is_recognised_and_aligned():
    english, spanish = process(SEEDS[0].read_text(encoding="utf-8")).parts()
    assert (english.translation_of, spanish.translation_of) == (None, "en")
    assert spanish.translation_score > 0.95
    pairs = [
        (english.text[slice(*pair.left)], spanish.text[slice(*pair.right)])
        for pair in aligned_pairs(english.text, spanish.text)
    ]
    assert ("Intelligence and security", "Inteligencia y seguridad") in pairs
    assert ("Gang leaders in the U.S.", "Cabecillas en EE.UU.") in pairs
    assert any(a.startswith("Bukele Asked") and b.startswith("Bukele pidió") for a, b in pairs)
    assert len(pairs) >= 20


def test_a_part_is_linked_to_the_first_part_it_translates(monkeypatch):
    texts = [ROWS[8]["left"], ENGLISH, SPANISH, ROWS[1]["right"]]

    def stage(documents, config):
        (document,) = documents
        at, spans = 0, []
        for lang, text in zip(("xx", "en", "es", "ru"), texts, strict=True):
            spans.append(Span(at, at + len(text), lang=lang))
            at += len(text)
        return [document.with_spans(spans)]

    monkeypatch.setattr(pipeline, "_stages", lambda: (stage,))
    parts = process("".join(texts)).parts()
    assert [(part.lang, part.translation_of) for part in parts] == [
        ("xx", None),
        ("en", None),
        ("es", "en"),
        ("ru", "en"),
    ]


def test_bitext_pairs_are_slices_of_the_input(tmp_path, monkeypatch):
    source = tmp_path / "in.jsonl"
    text = "".join(f"{a} — {b}\n" for a, b in zip(ENGLISH.splitlines(), SPANISH.splitlines(), strict=True))
    source.write_text(json.dumps({"id": "a", "text": text}) + "\n" + json.dumps({"id": "b", "text": ENGLISH}) + "\n")
    assert main(["run", str(source), "-o", str(tmp_path / "out"), "--to", "bitext"]) == 0
    pairs = read(tmp_path / "out" / "bitext.jsonl")
    assert [pair["texts"] for pair in pairs] == [
        list(lines) for lines in zip(ENGLISH.splitlines(), SPANISH.splitlines(), strict=True)
    ]
    for pair in pairs:
        assert (pair["parent"], pair["ids"], pair["langs"]) == ("a", ["a#en", "a#es"], ["en", "es"])
        assert ["".join(text[start:end] for start, end in kept) for kept in pair["kept"]] == pair["texts"]
        assert 0 < pair["score"] <= 1
    records = read(tmp_path / "out" / "documents.jsonl")
    assert [record["translation_of"] for record in records] == [None, "a#en", None]


def test_bitext_leaves_out_parts_that_are_dropped(tmp_path):
    source = tmp_path / "a.txt"
    source.write_text(ENGLISH + "\n" + SPANISH, encoding="utf-8")
    arguments = ["run", str(source), "-o", str(tmp_path / "out"), "--to", "bitext", "--drop-language", "es"]
    assert main(arguments) == 0
    assert (tmp_path / "out" / "bitext.jsonl").read_bytes() == b""


def test_one_language_costs_no_comparison(monkeypatch):
    monkeypatch.setattr(pipeline, "_stages", lambda: (by_first_word,))
    monkeypatch.setattr(translation, "score", lambda left, right: pytest.fail("compared"))
    assert process("EN One\nEN two\n").parts()[0].translation_of is None


def test_long_text_without_an_end_is_compared_in_time():
    assert 0 <= score("word 17 " * 100_000, "palabra, 17. " * 100_000) <= 1


@pytest.mark.parametrize(("of_few_lines", "precision", "recall"), [(False, 0.97, 0.93), (True, 0.93, 0.85)])
def test_labelled_documents_reach_the_goal(shared_dir, of_few_lines, precision, recall):
    """Every other document; `python -m benchmarks.translation` cross-validates on all of them."""
    from benchmarks.translation import cases as pairs
    from benchmarks.translation import read as read_rows

    rows = read_rows(shared_dir / "data" / "lang" / "dev.jsonl")[::2]
    chosen = [case for case in pairs(rows) if case.kind[0].isdigit() == of_few_lines]
    found = [score(case.left, case.right) >= MIN_SCORE for case in chosen]
    hits = sum(case.is_translation and said for case, said in zip(chosen, found, strict=True))
    assert hits / sum(found) >= precision
    assert hits / sum(case.is_translation for case in chosen) >= recall


def test_a_document_without_notes_still_has_parts():
    (part,) = Document("Hello\n", (Span(0, 6, lang="en"),)).parts()
    assert part.translation_of is part.translation_score is part.second_opinion is None
    assert Config().second_opinion is False
