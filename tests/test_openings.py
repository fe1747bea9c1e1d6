"""What matches of patterns begin with: nothing that a pattern finds may be missed."""

from __future__ import annotations

import re2
from hypothesis import given
from hypothesis import strategies as st

from filter import rules
from filter.folding import fold_lines, word_count
from filter.openings import Openings, openings

LETTERS = "abcé "
PIECES = st.recursive(
    st.one_of(
        st.text(LETTERS, min_size=1, max_size=10),
        st.sampled_from(["[ab]", "[a-c]*", "[^ ]*", ".", r"\w+", r"\.", "b{2}", "c{1,3}", "a{0,2}", "$"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{2}", "+?"])).map(lambda parts: f"(?:{parts[0]}){parts[1]}"),
    ),
    max_leaves=8,
)


@given(
    st.tuples(st.sampled_from(["", " ", "^ "]), PIECES).map("".join),
    st.lists(st.text(LETTERS + "d", max_size=20).map(lambda line: f" {line} "), max_size=6),
)
def test_candidates_are_all_lines_that_a_pattern_finds(pattern, lines):
    found = Openings({7: pattern})
    text = "\n".join(["", *lines, ""]).encode()
    at, numbers = found.candidates(text)
    assert set(numbers.tolist()) <= {7}
    right = [i for i, line in enumerate(lines) if re2.search(pattern, line)]
    assert found.unknown or set(right) <= set(at.tolist())


def test_candidates_of_shipped_rules_are_all_lines_that_they_find():
    packs = rules.load_packs()
    lines = [line for rule in packs.rules for line in (*rule.hits[:1], *rule.misses[:1])]
    folded = [line.replace("\x00", "") for line in fold_lines(lines)]
    found = packs._triggers(folded)
    for number in packs._triggered:
        short = [i for i, line in enumerate(folded) if word_count(line) <= packs._max_words[number]]
        right = [i for i in short if packs._finds(number, folded[i].encode())]
        assert set(right) <= {i for i in found if number in found[i]}
        assert all(packs._finds(number, folded[i].encode()) for i in found if number in found[i])


def test_openings_of_all_shipped_patterns_are_known():
    assert not rules.load_packs()._openings.unknown


def test_openings_are_unknown_rather_than_guessed():
    for pattern in (r"\pL+x", r"a\bc", "(?i)abc", "(?i:abc)", "[[:alpha:]]bc", r"\Qa+b\E", r"\x41", "a**", "(a", "a)"):
        assert openings(pattern) is None


def test_rules_of_users_with_unknown_openings_hold(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(
        'lang = "en"\n[[rule]]\nid = "own"\ncategory = "metadata"\npattern = \'\\pN+ of \\pN+\'\nwhy = "w"\n'
        'hits = ["3 of 7"]\nmisses = ["three of seven"]\n'
    )
    own = rules.load_packs([path])
    assert own._openings.unknown
    match = own.match(["3 of 7", "three of seven"])
    assert [found.rule.source if found else None for found in match] == ["rule:own/own", None]
