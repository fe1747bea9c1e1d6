from __future__ import annotations

import json
from collections import Counter
from functools import lru_cache
from pathlib import Path

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from filter.errors import RuleError
from filter.folding import MAX_CHARS, fold, fold_lines, word_count
from filter.matching import search_set
from filter.rules import MAX_MIB, PACKS, Match, Rule, Rules, _variants, check, load_packs

LANGUAGES = (
    *("en", "es", "fr", "de", "it", "pt", "nl", "pl", "sv", "da", "no", "fi"),
    *("cs", "ro", "el", "tr", "ru", "uk", "ar", "zh", "ja", "ko", "id", "ca"),
)
MIN_RECALL = 0.95
MAX_PROSE_FOUND = 0.07  # these are written to be mistaken: newsletters, cookies and subscriptions in the news
RULE = """
[[rule]]
id = "plea"
category = "newsletter"
pattern = 'support our (work|mission)'
max_words = 8
why = "A plea for support."
hits = ["Support our work!"]
misses = ["They support our working hours."]
"""


def pack(folder: Path, text: str, name: str = "own.toml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def own_rules(folder: Path, text: str):
    return load_packs([pack(folder, text)], shipped=False)


def phrases() -> list[dict[str, str]]:
    lines = (Path(__file__).parent / "cases" / "phrases.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_every_hit_is_found_and_every_miss_spared() -> None:
    assert check(load_packs(every=True)) == []


def test_every_shipped_rule_is_proved() -> None:
    thin = [rule.where for rule in load_packs(every=True).rules if len(rule.hits) < 3 or len(rule.misses) < 2]
    assert thin == []


def test_every_shipped_pattern_compiles() -> None:
    options = re2.Options()
    options.log_errors = False
    for pattern in load_packs(every=True)._patterns:
        re2.compile(pattern, options)


def test_every_language_has_every_family() -> None:
    found = Counter((rule.pack, rule.category) for rule in load_packs().rules)
    kinds = {category for pack, category in found if pack == "en"}
    assert {(lang, kind) for lang in LANGUAGES for kind in kinds} <= set(found)


@pytest.mark.parametrize("category", ["paywall", "consent", "newsletter", "comments"])
def test_phrases_that_no_rule_was_written_from_are_found(category: str) -> None:
    rows = [row for row in phrases() if row["category"] == category]
    matches = load_packs().match([row["text"] for row in rows])
    missed = [row["id"] for row, match in zip(rows, matches, strict=True) if match is None or match.weak]
    assert len(missed) <= (1 - MIN_RECALL) * len(rows), missed


@pytest.mark.parametrize(("half", "least"), [("seen", 0.9), ("held", 0.8)])
def test_phrases_of_other_software_are_found_in_every_language(half: str, least: float) -> None:
    lines = (Path(__file__).parent / "cases" / "phrases_held.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["half"] == half]
    assert {row["lang"] for row in rows} == set(LANGUAGES)
    matches = load_packs().match([row["text"] for row in rows])
    found = sum(match is not None for match in matches)
    assert found >= least * len(rows), f"{found} of {len(rows)}"


def test_prose_about_the_same_things_is_spared() -> None:
    rows = [row for row in phrases() if row["category"] == "content"]
    matches = load_packs().match([row["text"] for row in rows])
    found = [row["text"] for row, match in zip(rows, matches, strict=True) if match and not match.weak]
    assert len(found) <= MAX_PROSE_FOUND * len(rows), found


def test_genuine_sentences_in_many_languages_are_spared(shared_dir: Path) -> None:
    documents = map(json.loads, (shared_dir / "data/lang/dev.jsonl").read_text(encoding="utf-8").splitlines())
    lines = [line for row in documents if row["kind"].startswith("mono") for line in row["text"].split("\n")]
    found = [match for match in load_packs().match(lines) if match and not match.weak]
    assert len(lines) > 2000
    assert len(found) <= len(lines) / 500


def test_a_rule_of_ones_own_is_found_before_the_shipped_ones(tmp_path: Path) -> None:
    rules = load_packs([pack(tmp_path, RULE)])
    match = rules.match(["Support our work!"])[0]
    assert match is not None
    assert match.rule.source == "rule:own/plea"


def test_a_new_language_fills_in_the_families(tmp_path: Path) -> None:
    text = """
        lang = "xx"
        [words]
        ad = ["annoncu"]
        app = ["appu"]
        download = []
        adblock = []
        you = []
        we = []
        [[rule]]
        family = "advertising"
        hits = ["ANNONCU"]
        misses = ["Annoncu zu."]
    """
    rules = own_rules(tmp_path, text)
    assert check(rules) == []
    assert rules.rules[0].category == "advertising"


def test_a_star_behind_a_group_stands_for_the_rest_of_a_word(tmp_path: Path) -> None:
    text = """
        lang = "xx"
        [words]
        confirm = ["bekraft* (kod|lank)*"]
        [[rule]]
        id = "confirm"
        category = "newsletter"
        pattern = "{confirm}"
        why = "Asks to confirm."
        hits = ["Bekraftar koder nu"]
        misses = ["Bekrafta nu"]
    """
    assert check(own_rules(tmp_path, text)) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("max_words = 8", "max_wordz = 8"), r"own.toml:2: unknown key 'max_wordz'"),
        (("(work|mission)", "(?=work)"), r"own.toml:2: rule 'plea': pattern cannot be compiled"),
        (("(work|mission)", r"(work) \1"), r"own.toml:2: rule 'plea': pattern cannot be compiled: invalid escape"),
        (
            ("(work|mission)", "(work){1001}"),
            r"own.toml:2: rule 'plea': pattern cannot be compiled: invalid repetition",
        ),
        (("(work|mission)", "(work"), r"own.toml:2: rule 'plea': pattern cannot be compiled: missing \)"),
        (("our (work", "{cause} (work"), r"own.toml:2: rule 'plea': no word list 'cause'"),
        (('category = "newsletter"', 'category = "plea"'), r"own.toml:2: category = 'plea'; use one of"),
        (('category = "newsletter"', ""), r"own.toml:2: rule 'plea' needs a category"),
        (('id = "plea"', ""), r"own.toml:2: a rule needs an id"),
        (('hits = ["Support our work!"]', ""), r"own.toml:2: rule 'plea' needs hits"),
        (("max_words = 8", "max_words = true"), r"max_words = True is not int"),
        (("max_words = 8", "max_words = "), r"own.toml:6: not TOML"),
        (("[[rule]]", 'family = "x"\n[[rule]]'), r"stands in the shipped families.toml only"),
        (('id = "plea"', 'family = "plea"'), r"own.toml:2: unknown family 'plea'"),
    ],
)
def test_a_faulty_pack_is_refused_with_its_line(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(RuleError, match=message):
        own_rules(tmp_path, RULE.replace(*change))


def test_two_rules_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"own.toml:11: a second rule 'plea'"):
        own_rules(tmp_path, RULE + RULE)


def test_a_missing_pack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"none.toml: cannot be read"):
        load_packs([tmp_path / "none.toml"])


def test_check_reports_a_hit_not_found_and_a_miss_found(tmp_path: Path) -> None:
    text = RULE.replace("Support our work!", "Help us.").replace("They support our working hours.", "Support our work.")
    problems = check(own_rules(tmp_path, text))
    assert [problem.split("own.toml:2: ")[1].split(";")[0] for problem in problems] == [
        "rule:own/plea does not find its hit 'Help us.'",
        "rule:own/plea finds the miss 'Support our work.' of rule:own/plea",
    ]


def test_weak_rules_say_so() -> None:
    strong, weak = load_packs().match(["Already a subscriber? Log in", "You can only stay connected on one device."])
    assert strong is not None
    assert weak is not None
    assert (strong.weak, weak.weak) == (False, True)


def test_long_lines_match_nothing() -> None:
    assert load_packs().match(["Sign up for our newsletter. " * 40]) == [None]


@lru_cache(maxsize=1)
def all_patterns(rules: Rules) -> tuple[list[int], re2.Set]:
    numbers = list(rules._triggered)
    return numbers, search_set((rules._patterns[number] for number in numbers), MAX_MIB)


def one_by_one(rules: Rules, lines: list[str]) -> list[Match | None]:
    """Return what `match` returns, by looking for all patterns in every line."""
    return [one(rules, fold_lines([line])[0]) for line in lines]


def one(rules: Rules, text: str) -> Match | None:
    numbers, patterns = all_patterns(rules)
    found: list[tuple[int, bool]] = []
    for reading in _variants(text) if text else ():
        found += rules._hold(reading, [numbers[i] for i in patterns.Match(reading.encode()) or ()])
        if not all(weak for _, weak in found):
            break
    if not found:
        return None
    number, weak = min(found, key=lambda hold: (hold[1], hold[0]))
    return Match(rules.rules[number], weak)


PHRASES = [row["text"] for row in phrases()]
SHORT = [
    "",
    " ",
    "x",
    "Menu",
    "a\nb",
    "ArrowSign up",
    "#one",
    "@jane_doe",
    "© 2020",
    "댓글",
    "x" * 481,
    "\ue000",
    "\x00",
]


def test_many_lines_at_once_match_as_each_alone() -> None:
    rules = load_packs()
    lines = PHRASES + [hit for rule in rules.rules for hit in (*rule.hits, *rule.misses)] + SHORT
    assert rules.match(lines) == one_by_one(rules, lines)
    assert rules.match(lines[::-1]) == one_by_one(rules, lines)[::-1]


@given(st.lists(st.sampled_from(PHRASES + SHORT) | st.text(max_size=30), max_size=8))
def test_a_line_matches_alike_whatever_stands_beside_it(lines: list[str]) -> None:
    rules = load_packs()
    assert rules.match(lines) == one_by_one(rules, lines)


@pytest.mark.parametrize(
    "pattern",
    [
        r"sign\W+.*work",
        r"\Aour|\A work",
        r"(?-m:^ )our",
        r"our\z|work \z",
        r"[^a]+",
        "(?s)our.*work",
        "x*",
        "^our.*$",
        "(^| )our( |$)",
    ],
)
def test_patterns_that_look_beyond_their_line_find_the_same(tmp_path: Path, pattern: str) -> None:
    rules = own_rules(tmp_path, RULE.replace("support our (work|mission)", pattern))
    lines = ["Sign", "our work", "", "they work", "our", "work", "a", "our work our", "aaa", "Please Our"]
    assert rules.match(lines) == one_by_one(rules, lines)
    assert rules.match(["Sign up", *lines])[1:] == one_by_one(rules, lines)


def test_a_pattern_that_backtracks_for_ever_elsewhere_is_matched(tmp_path: Path) -> None:
    rules = own_rules(
        tmp_path, RULE.replace("support our (work|mission)", "(([a-z]+)+ ?)+[0-9]").replace("Support our work!", "ab1")
    )
    assert [match is not None for match in rules.match(["a" * 400, f"{'a' * 400}1"])] == [False, True]


def test_a_pattern_too_large_to_look_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = own_rules(tmp_path, RULE)

    def options(max_mib: int) -> re2.Options:
        small = re2.Options()
        small.log_errors = False
        small.max_mem = 1 << 10
        return small

    monkeypatch.setattr("filter.matching.options", options)
    with pytest.raises(RuleError, match="too large"):
        rules.match(["Support our work!"])


@given(st.text(max_size=MAX_CHARS))
def test_any_line_can_be_matched_and_counted(line: str) -> None:
    assert len(load_packs().match([line])) == 1
    assert word_count(fold(line)) >= 0 or not fold(line)


def test_no_pattern_quotes_a_seed() -> None:
    text = " ".join(path.read_text(encoding="utf-8") for path in (PACKS.parent.parent / "seeds").glob("*.txt"))
    words = fold("x").strip() and " ".join(fold(line) for line in text.split("\n") if len(line) <= MAX_CHARS).split()
    runs = {" ".join(words[i : i + 5]) for i in range(len(words))}
    rules = load_packs()
    assert [run for run in runs if any(f" {run} " in pattern for pattern in rules._patterns)] == []
    assert all(isinstance(rule, Rule) for rule in rules.rules)
