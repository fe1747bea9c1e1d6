from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter.folding import MAX_CHARS, fold, fold_lines, fold_singly, words_in, words_in_each

# Letters of many scripts, marks that join them or go before one another, and what glues words together.
CHARS = (
    "aZéß ñÑłØı\u0301\u0327\u093c\u09be\u09c7कড়가각ㄱㅏ\u1100\u1161\u11a8がか\u3099"
    "ｸﾞＡ①½ﬁ№™ǆ́İσςΣاَ\u0640שּׁ一中🙂𝐀𠀀\u200b\xad\ue000\x00\t#@./A,–"
)


@pytest.mark.parametrize(
    ("line", "folded"),
    [
        ("  SUSCRÍBETE  al boletín! ", " suscribete al boletin "),
        ("L’actualité", " l actualite "),
        ("Łódź ørn İstanbul ısı", " lodz orn istanbul isi "),
        ("Straße GROẞ", " strasse gross "),
        ("share #MeToo @JaneDoe pic.twitter.com/AbC", " share #metoo @janedoe pic twitter com abc "),
        ("اَلْمُشْتَرِكُونَ", " المشتركون "),
        ("ｸｯｷｰ ガ", " クッキー ガ "),
        ("각 \u1100\u1161\u11a8", " 각 각 "),
        ("—", ""),
    ],
)
def test_folding(line: str, folded: str) -> None:
    assert fold(line) == folded


def test_every_code_point_folds_alike_in_a_batch_and_singly() -> None:
    chars = [
        chr(code) for code in (*range(0x3200), *range(0xA000, 0x20100, 3)) if not 0xD800 <= code < 0xE000 and code != 10
    ]
    lines = [f"a{char}b{char}\u3099 {char}" for char in chars]
    assert fold_lines(lines) == fold_singly(lines)


def test_what_joins_the_letter_before_it_folds_alike() -> None:
    pairs = [unicodedata.normalize("NFD", chr(code)) for code in range(0x20000) if not 0xD800 <= code < 0xE000]
    lines = [pair for pair in pairs if len(pair) > 1 and "\n" not in pair]
    assert len(lines) > 10_000
    assert fold_lines(lines) == fold_singly(lines)


@given(st.lists(st.text(st.sampled_from(CHARS) | st.characters(exclude_characters="\n"), max_size=12), max_size=6))
def test_a_batch_folds_like_each_line_singly(lines: list[str]) -> None:
    assert fold_lines(lines) == (fold_singly(lines) if lines else [])


@given(st.lists(st.text(), max_size=5))
def test_folding_keeps_lines_apart(lines: list[str]) -> None:
    folded = fold_lines(lines)
    assert len(folded) == len(lines)
    assert [fold(line) for line in lines] == [line.replace("\x00", "") for line in folded]


def test_long_lines_fold_to_nothing_unless_asked() -> None:
    line = "Word " * MAX_CHARS
    assert fold_lines([line, "x"]) == ["", " x "]
    assert fold_lines([line], None) == [f" {line.lower()}"]


@given(st.lists(st.text(), max_size=5))
def test_words_are_counted_alike_in_a_batch(lines: list[str]) -> None:
    assert words_in_each(lines) == [words_in(line) for line in lines]
