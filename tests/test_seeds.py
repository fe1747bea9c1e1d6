"""The five seed documents come out as their gold says, by families of rules and not by quoting them."""

import json
import re
from pathlib import Path

from filter import process
from filter.config import tomllib
from filter.evaluation import evaluate

ROOT = Path(__file__).resolve().parent.parent
SEEDS = sorted((ROOT / "seeds").glob("*.txt"))
WORD = re.compile(r"\w+")


def seed(number):
    return SEEDS[number].read_bytes().decode("utf-8")


def test_every_gold_line_is_right():
    floors = json.loads((ROOT / "tests" / "floors.json").read_text(encoding="utf-8"))["seeds"]
    result = evaluate(ROOT / "seeds" / "gold.jsonl")
    assert result.wrong == ()
    assert result.under(floors) == []


def test_bilingual_article_gives_two_parts_cut_at_the_dash():
    parts = process(seed(0)).parts()
    assert [part.lang for part in parts] == ["en", "es"]
    english, spanish = (part.text for part in parts)
    assert english.startswith("Bukele Asked") and spanish.startswith("Bukele pidió")
    assert english.splitlines()[0].endswith("ambassador says")
    assert english.splitlines()[2] == "Feb 5, 2025"
    assert "—" not in spanish.splitlines()[0]


def test_clean_article_is_untouched():
    document = process(seed(1))
    assert document.removed == document.flagged == ()
    (part,) = document.parts()
    assert part.text == document.text


def test_no_rule_quotes_more_than_four_words_of_a_seed():
    words = 5
    said = set()
    for path in SEEDS:
        tokens = [word.casefold() for word in WORD.findall(path.read_text(encoding="utf-8"))]
        said.update(zip(*(tokens[i:] for i in range(words)), strict=False))
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "filter").glob("*.py")}
    for path in (ROOT / "filter" / "packs").glob("*.toml"):
        rules = tomllib.loads(path.read_text(encoding="utf-8"))["rule"]
        sources[path] = "\n".join(rule.get("pattern", "") for rule in rules)
    for path, text in sources.items():
        tokens = [word.casefold() for word in WORD.findall(text)]
        quoted = [" ".join(run) for run in zip(*(tokens[i:] for i in range(words)), strict=False) if run in said]
        assert quoted == [], path.name
