"""The quality measures: the numbers that datatrove gives, and what is called broken and what is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter.quality import MEASURES, Texts, find_flaws, measures

from .conftest import cases

ROOT = Path(__file__).resolve().parent.parent
# These say how words are counted, which datatrove leaves to spaCy.
OF_WORDS = {"words", "mean_word_chars", "hash_rate", "ellipsis_rate", "letter_word_share", "line_break_rate"}
OF_WORDS |= {name for name in MEASURES if "_gram_" in name} | {"c4_sentences"}


def text_of(case):
    return (ROOT / "seeds" / case["seed"]).read_text(encoding="utf-8") if "seed" in case else case["text"]


@pytest.mark.parametrize("case", list(cases("quality.jsonl")))
def test_numbers_are_those_of_datatrove(case):
    found = measures([text_of(case)])
    assert set(case["expected"]) <= set(found)
    for name, expected in case["expected"].items():
        value = found[name][0]
        if name in OF_WORDS:
            assert value == pytest.approx(expected, rel=0.15, abs=0.03 if value < 1 else 2), name
        else:
            assert value == pytest.approx(expected, abs=1e-6), name


def test_numbers_do_not_depend_on_the_batch():
    texts = [text_of(case.values[0]) for case in cases("quality.jsonl")]
    together = measures(texts)
    for number, text in enumerate(texts):
        alone = measures([text])
        assert {name: column[number] for name, column in together.items()} == {
            name: column[0] for name, column in alone.items()
        }


def by_the_book(words, order):
    """What Gopher's repetition of n-grams is, one word after the other."""
    seen, chars, at = set(), 0, 0
    while at + order <= len(words):
        gram = tuple(words[at : at + order])
        if gram in seen:
            chars += sum(map(len, gram))
            at += order
        else:
            seen.add(gram)
            at += 1
    return chars


@given(st.lists(st.text(alphabet="ab ", max_size=60), max_size=4), st.integers(1, 4))
def test_repeated_grams_are_counted_as_one_would_by_hand(texts, order):
    from filter.quality import repeated_gram_char_share, top_gram_char_share

    batch = Texts(texts)
    repeated, top = repeated_gram_char_share(batch, order), top_gram_char_share(batch, order)
    for number, text in enumerate(texts):
        words = text.split()
        assert repeated[number] == pytest.approx(by_the_book(words, order) / max(1, len(text)))
        grams = [" ".join(words[i : i + order]) for i in range(len(words) - order + 1)]
        count = max((grams.count(gram) for gram in grams), default=0)
        first = next((gram for gram in grams if grams.count(gram) == count), "")
        assert top[number] == pytest.approx(len(first) * count / max(1, len(text)))


@given(st.lists(st.text(max_size=80), max_size=5))
def test_any_text_has_finite_numbers(texts):
    for name, column in measures(texts).items():
        assert column.shape == (len(texts),) and np.isfinite(column).all() and (column >= 0).all(), name


def test_one_string_is_no_batch():
    with pytest.raises(TypeError, match=r"write \[text\]"):
        measures("text")


GENUINE = "The council voted on Tuesday to close the pool, and Mrs Brady said she would chain herself to its gate."
FLAWS = [
    pytest.param("Das KÃ¶lner GÃ¼rzenich-Orchester spielt am Sonntag.", "encoding", id="German read as Latin-1"),
    pytest.param("ÐœÐ¾ÑÐºÐ²Ð° Ð½Ðµ Ð²ÐµÑ€Ð¸Ñ‚ ÑÐ»ÐµÐ·Ð°Ð¼", "encoding", id="Russian read as Windows-1252"),
    pytest.param("РџСЂРёРІРµС‚, РєР°Рє РґРµР»Р°? Р’СЃС‘ С…РѕСЂРѕС€Рѕ.", "encoding", id="Russian read as Windows-1251"),
    pytest.param("Ma\ufffdana ser\ufffd otro d\ufffda.", "encoding", id="letters lost"),
    pytest.param("\x01\x02 PNG \x03 IHDR \x04", "encoding", id="control characters"),
    pytest.param("QUJD" * 100, "unbroken", id="base64"),
    pytest.param("0a1f" * 200, "unbroken", id="hexadecimal digits"),
    pytest.param("-=+*" * 50, "symbols", id="signs"),
    pytest.param("click here to win " * 30, "repeated", id="repeated words"),
    pytest.param("今すぐ購入する" * 30, "repeated", id="repeated text without blanks"),
    pytest.param("xkcdrt bvnmqw qwrtzp lkjhgf " * 2 + "wrtpsd fghjkl zxcvbn mnbvcx " * 2, "gibberish", id="gibberish"),
    pytest.param(
        ", ".join(
            f"cheap {a} shoes {b}" for a in ("red", "blue", "new", "best") for b in ("now", "sale", "shop", "fast")
        ),
        "keywords",
        id="keywords",
    ),
    pytest.param(
        "used cars cheap used cars buy used cars online used cars for sale used cars near me best used cars used cars"
        " deals used cars finance",
        "keywords",
        id="few keywords",
    ),
]


@pytest.mark.parametrize(("line", "rule"), FLAWS)
def test_broken_line_is_found_among_genuine_ones(line, rule):
    flaws = find_flaws(f"{GENUINE}\n{line}\n{GENUINE} It will not be the last.")
    assert [(flaw.line, flaw.rule) for flaw in flaws] == [(1, rule)]
    assert 0 < flaws[0].score <= 1 and flaws[0].reason


SOUND = [
    pytest.param("São Paulo, Łódź, Çanakkale, Đà Nẵng – “voilà”, naïve façade, 25 °C ± 3 µm, ½ Å", id="accents"),
    pytest.param("ราคาข้าวเพิ่มขึ้นอย่างต่อเนื่องในปีนี้ ชาวนากล่าวว่าต้นทุนปุ๋ยสูงขึ้นมากกว่าเท่าตัว " * 2, id="Thai"),
    pytest.param(
        "世界人权宣言是人权史上具有里程碑意义的文件。" + "各国代表来自不同法律和文化背景，共同起草了它。", id="Chinese"
    ),
    pytest.param("Strč prst skrz krk, zblnk vlk, smrž pln skvrn zvlhl z mlh, prv mhl chrt čtvrt hrst zrn.", id="Czech"),
    pytest.param("Mae'r gŵr yn y cwm wrth y llyn: twrw mwy, grwp, cwch, hwyl, swydd, gwrdd â'r llwynog.", id="Welsh"),
    pytest.param("He waited" + "." * 200 + " and then ran!" + "!" * 150, id="dots"),
    pytest.param(" ".join(f"https://example.org/page/{n}" for n in range(30)), id="addresses"),
    pytest.param(
        "| 1990 | 12.4 | 13.8 | 15.1 | 1991 | 12.9 | 14.0 | 15.6 | 1992 | 13.3 | 14.2 | 15.9 | 1993 |", id="table"
    ),
    pytest.param(
        "Yesterday all the old cars were sold, my cars, your cars and the mayor's. Nobody in the town had bought new"
        " ones in spring.",
        id="a topic named often",
    ),
    pytest.param("| Speed | " + "High | " * 9 + "Low | Low | High |", id="a row that says the same"),
    pytest.param("\n".join(["And so we row, my boys, and so we row", GENUINE] * 2), id="song"),
    pytest.param("", id="nothing"),
    pytest.param("word", id="one word"),
]


@pytest.mark.parametrize("text", SOUND)
def test_sound_text_is_left_alone(text):
    assert find_flaws(text) == []


def test_second_copy_of_a_text_is_marked_and_not_the_first():
    lines = [f"{GENUINE} It was vote number {n} of the evening." for n in range(8)]
    assert [(flaw.line, flaw.rule) for flaw in find_flaws("\n".join(lines + lines))] == [
        (number, "copied") for number in range(8, 16)
    ]
    # A pull quote stands twice too.
    assert find_flaws("\n".join([*lines, lines[3]])) == []


@given(st.text(max_size=300))
def test_flaws_name_lines_of_the_text_in_order(text):
    numbers = [flaw.line for flaw in find_flaws(text)]
    assert numbers == sorted(set(numbers)) and all(number <= text.count("\n") for number in numbers)
