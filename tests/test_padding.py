"""Short filler is found by its stock phrases, and genuine text that holds a few of them is not."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter import Config, Record, process
from filter.errors import RuleError
from filter.padding import Found, Phrases
from filter.rules import FILLER, check, load_packs
from filter.sections import _model, mark_sections
from filter.segment import segment

from .conftest import cases
from .test_rules import LANGUAGES, pack

MIN_FOUND = {"first": 0.75, "second": 0.7}
OPENINGS = {
    "en": "The city council voted on Tuesday to close the Harlow Street pool after an engineer, Peter "
    "Lyle, found cracks in its roof in 2019.",
    "es": "El ayuntamiento de Vallejo aprobó el martes cerrar la piscina de la calle Mayor, después de que "
    "la ingeniera Ana Prieto hallara grietas en el techo en 2019.",
    "de": "Der Stadtrat von Waldau hat am Dienstag beschlossen, das Hallenbad an der Hauptstraße zu "
    "schließen, nachdem der Ingenieur Peter Lang 2019 Risse im Dach gefunden hatte.",
    "fr": "Le conseil municipal de Valmont a décidé mardi de fermer la piscine de la rue Haute, après que "
    "l'ingénieure Anne Petit a découvert des fissures dans le toit en 2019.",
    "pt": "A câmara de Valinhos decidiu na terça-feira fechar a piscina da rua Direita, depois de a "
    "engenheira Ana Prates ter encontrado fissuras no telhado em 2019.",
    "it": "Il consiglio comunale di Valmonte ha deciso martedì di chiudere la piscina di via Alta, dopo "
    "che l'ingegnera Anna Prati aveva trovato crepe nel tetto nel 2019.",
    "ja": "和倉市議会は火曜日、2019年に技師の木村洋子さんが屋根のひび割れを見つけた本町プールの閉鎖を決めた。",
    "zh": "瓦口市议会星期二决定关闭大街游泳馆，工程师李明2019年曾在屋顶发现裂缝。",
}
OWN = """
lang = "en"
[[rule]]
id = "club"
label = "ai_padding"
several = ["all of us here", "{warmth}", "until next time"]
least = 2
why = "What the club's own generator ends with."
hits = ["From all of us here, have a splendid day ahead. Until next time, dear friends!"]
misses = ["All of us here met on Monday and will meet again in a week or so."]
[words]
warmth = ["splendid day", "warm wishes"]
"""


def rows(name: str) -> list[dict[str, str]]:
    lines = (Path(__file__).parent / "cases" / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def phrases(lang: str) -> Phrases:
    found = load_packs().phrases(lang)
    assert found is not None
    return found


def sections(lang: str, *lines: str) -> list[Found]:
    return phrases(lang).find([lines])[0]


def test_every_language_has_stock_phrases():
    assert {*LANGUAGES, "bg"} == {path.stem for path in FILLER.glob("*.toml")}


@pytest.mark.parametrize("which", MIN_FOUND)
def test_fillers_that_no_phrase_was_written_from_are_found(which: str):
    own = [row for row in rows("filler.jsonl") if row["set"] == which]
    missed = [row["id"] for row in own if not sections(row["lang"], row["text"])]
    assert len({row["lang"] for row in own}) == 12
    assert len(missed) <= (1 - MIN_FOUND[which]) * len(own), missed
    # No language is left out.
    assert max(Counter(name.rsplit(" filler", 1)[0] for name in missed).values()) < 3


@pytest.mark.parametrize("case", list(cases("filler_spared.jsonl")))
def test_genuine_text_with_stock_phrases_is_spared(case: dict[str, str]):
    assert sections(case["lang"], case["text"]) == []


@pytest.mark.parametrize("lang", OPENINGS)
def test_filler_under_a_genuine_paragraph_is_flagged_alone(lang: str):
    filler = next(row["text"] for row in rows("filler.jsonl") if row["lang"] == lang and sections(lang, row["text"]))
    document = process(f"{OPENINGS[lang]}\n{filler}\n")
    assert [span.label for span in document.spans] == ["content", "ai_padding"]
    (flag,) = document.flagged
    assert flag.source == f"rule:{lang}/stock-phrases"
    assert "stock phrases of" in flag.reasons[0] and 0.8 < flag.score < 1
    # It is flagged, and stays.
    assert filler in "".join(part.text for part in document.parts())


def test_what_an_assistant_says_is_enough_alone_unless_the_document_is_about_assistants():
    said = "As an AI language model, I cannot access real-time data."
    assert [found.source for found in sections("en", OPENINGS["en"], said)] == ["rule:en/assistant"]
    assert sections("en", "ChatGPT refused to name the mayor.", said) == []
    assert sections("en", OPENINGS["en"], f"“{said}”") == []


def test_names_of_the_document_may_be_named_and_others_not():
    filler = "Experts agree that Lyle plays a crucial role. Only time will tell. Stay tuned for further updates."
    assert sections("en", OPENINGS["en"], filler)
    assert sections("en", OPENINGS["en"], filler.replace("Lyle", "Okafor")) == []


def test_lines_side_by_side_are_one_section():
    lines = ("Critics argue it is too late, while others welcome it.", "Only time will tell.", "Stay tuned!")
    (found,) = sections("en", OPENINGS["en"], *lines)
    assert (found.first, found.last) == (1, 4)


def test_only_chosen_lines_are_judged():
    filler = "Experts agree that it is too early to say. Stay tuned for further updates."
    assert phrases("en").find([[filler, filler]], [[1]]) == [sections("en", "", filler)]


def test_phrases_stand_in_reasons_as_they_are_written():
    text = "Wie es weitergeht, bleibt abzuwarten. Experten sind sich einig. Die Debatte über die Größe geht weiter."
    (found,) = sections("de", text)
    assert "“bleibt abzuwarten”" in found.reasons[0] and "Größe" in found.reasons[0]


def test_a_rule_of_ones_own_counts_several_kinds(tmp_path: Path):
    rules = load_packs([pack(tmp_path, OWN)])
    assert check(rules) == []
    text = f"{OPENINGS['en']}\nFrom all of us here, have a splendid day ahead. Until next time, dear friends!\n"
    document = process(text, Config(rules=(str(tmp_path / "own.toml"),)))
    assert [span.source for span in document.flagged] == ["rule:own/club"]


@pytest.mark.parametrize(
    "change",
    [('label = "ai_padding"', 'label = "spam"'), ('lang = "en"', ""), ("least = 2", "least = 0")],
)
def test_a_rule_with_several_kinds_that_makes_no_sense_is_refused(change: tuple[str, str], tmp_path: Path):
    with pytest.raises(RuleError, match=r"own.toml:\d+: rule 'club' has several"):
        load_packs([pack(tmp_path, OWN.replace(*change))])


def test_filler_that_the_model_knows_is_the_models():
    text = (Path(__file__).parent.parent / "seeds" / "002_7a8349eba1df39b9.txt").read_text(encoding="utf-8")
    document = segment(process(Record(text=text)))
    document = document.with_spans(replace(span, lang="en") for span in document.spans)
    (alone,) = mark_sections([document], _model(), load_packs(shipped=False))
    (both,) = mark_sections([document], _model())
    pairs = zip(alone.spans, both.spans, strict=True)
    assert all(before == after for before, after in pairs if before.label != "content")


WORDS = st.sampled_from(["stay", "tuned", "only", "time", "will", "tell", "experts", "agree", "7", "“", "\x00", "\n"])


@given(st.lists(st.lists(WORDS, max_size=14).map(" ".join), max_size=6))
def test_sections_are_in_order_and_apart(lines: list[str]):
    found = sections("en", *lines)
    edges = [edge for one in found for edge in (one.first, one.last)]
    assert edges == sorted(edges) and all(one.first < one.last <= len(lines) for one in found)
