"""Which languages are looked for, how they are named, which parts are kept, and where they are written."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter import Config, Document, Policy, Span, detectors, pipeline, process
from filter.command import main
from filter.errors import ConfigError
from filter.language import name_scripts, split_languages
from filter.segment import segment

from .conftest import ROOT
from .toys import by_first_word

SEEDS = sorted((ROOT / "seeds").glob("*.txt"))
EN = "The court met on Monday and rejected the appeal of the former minister, who left without a word.\n"
ES = "El tribunal se reunió el lunes y rechazó el recurso del antiguo ministro, que se fue sin decir nada.\n"
DE = "Das Gericht trat am Montag zusammen und wies die Berufung des früheren Ministers zurück, der schwieg.\n"
NEWS = (
    "The council of Lindau voted on Tuesday to close the harbour bridge for repairs until May.\n"
    "Engineer Petra Hoffmann told reporters that many of the bridge's old rivets were found to be loose.\n"
    "The repairs will cost more than four million euros, of which the state will pay half.\n"
)
NEWS_ES = (
    "El ayuntamiento de Lindau decidió el martes cerrar el puente del puerto por obras hasta mayo.\n"
    "La ingeniera Petra Hoffmann dijo a los periodistas que muchos remaches viejos estaban sueltos.\n"
    "La reparación costará más de cuatro millones de euros, de los que el estado pagará la mitad.\n"
)
ALL_OPTIONS = {
    "languages": ["en", "es"],
    "keep_languages": ["en"],
    "drop_languages": ["es"],
    "min_part_chars": 5,
    "second_opinion": True,
}


@pytest.fixture
def toy_stages(monkeypatch):
    monkeypatch.setattr(pipeline, "_stages", lambda: (by_first_word,))


def records(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def langs(text, **options):
    (document,) = split_languages([segment(Document(text))], Config(**options))
    return [part.lang for part in document.parts()]


# Which languages there can be


def test_languages_restrict_what_is_looked_for():
    text = NEWS + DE + NEWS_ES
    assert langs(text) == ["en", "de", "es"]
    assert langs(text, languages=("en", "es")) == ["en", "es"]
    assert langs(text, languages=("en", "es"), detector="langdetect") == ["en", "es"]
    assert langs(DE, languages=("en",)) == ["en"]


@given(
    st.lists(st.sampled_from([EN, ES, DE, "Οι δικαστές συνεδρίασαν τη Δευτέρα.\n", "2024\n"]), min_size=1, max_size=6)
)
def test_no_other_language_is_ever_named(lines):
    allowed = {"es", "el", "und", "zxx"}
    (document,) = split_languages([segment(Document("".join(lines)))], Config(languages=("es", "el")))
    assert {span.lang for span in document.spans} <= allowed


def test_a_language_nobody_knows_is_refused():
    with pytest.raises(ConfigError, match="does not know 'qqq'; known are ace, "):
        langs(EN, languages=("qqq",))


# How they are named

SIMPLIFIED = "法院周一开庭，驳回了前部长的上诉，他离开时没有说话。记者们问他是否会继续斗争。\n"
TRADITIONAL = "法院週一開庭，駁回了前部長的上訴，他離開時沒有說話。記者們問他是否會繼續鬥爭。\n"
LATIN = "Sud je u ponedeljak odbio žalbu bivšeg ministra, koji je otišao bez ijedne reči.\n"
CYRILLIC = "Суд је у понедељак одбио жалбу бившег министра, који је отишао без иједне речи.\n"


@pytest.mark.parametrize(
    ("lang", "text", "tag"),
    [
        ("zh", SIMPLIFIED, "zh-Hans"),
        ("zh", TRADITIONAL, "zh-Hant"),
        ("zh", "你好，世界\n", "zh"),
        ("zh", SIMPLIFIED + TRADITIONAL, "zh"),
        ("sr", LATIN, "sr-Latn"),
        ("sr", CYRILLIC, "sr-Cyrl"),
        ("sr", LATIN + CYRILLIC, "sr"),
        ("az", "Məhkəmə bazar ertəsi keçmiş nazirin şikayətini rədd etdi.\n", "az"),
        ("az", "Мәһкәмә базар ертәси кечмиш назирин шикајәтини рәдд етди.\n", "az-Cyrl"),
        ("en", EN, "en"),
        ("und", "???\n", "und"),
    ],
)
def test_script_is_named_where_it_matters_and_is_clear(lang, text, tag):
    (document,) = name_scripts([Document(text, (Span(0, len(text), lang=lang),))], Config())
    assert [span.lang for span in document.spans] == [tag]


def test_script_is_in_the_tags_of_the_parts():
    assert [part.lang for part in process(TRADITIONAL * 3).parts()] == ["zh-Hant"]
    assert [part.lang for part in process(CYRILLIC * 3).parts()] == ["sr-Cyrl"]


def test_numbers_are_in_no_language():
    document = process("17 / 42\n")
    assert [span.lang for span in document.spans] == ["zxx"]
    assert [part.lang for part in document.parts()] == ["und"]


# What langdetect thinks


def test_second_opinion_of_each_part():
    def opinions(*spans):
        text = "".join(line for _, line in spans)
        at, made = 0, []
        for lang, line in spans:
            made.append(Span(at, at + len(line), lang=lang))
            at += len(line)
        (document,) = note(Document(text, tuple(made)), second_opinion=True)
        return [part.second_opinion for part in document.parts()]

    from filter.parts import note_parts

    def note(document, **options):
        return note_parts([document], Config(**options))

    assert opinions(("en", EN), ("fr", ES), ("la", DE), ("zh-Hans", SIMPLIFIED)) == [
        "agrees",
        "differs: es",
        "unsupported",
        "agrees",
    ]
    assert opinions(("und", "17\n")) == ["agrees"]
    assert opinions(("en", "17\n")) == ["differs: und"]
    close = ("no", "Retten møttes mandag.\n")
    first = opinions(close)
    detectors._langdetect_pairs.cache_clear()
    assert opinions(close) == first


def test_second_opinion_is_given_only_when_asked_for():
    assert [part.second_opinion for part in process(EN).parts()] == [None]
    assert [part.second_opinion for part in process(EN, Config(second_opinion=True)).parts()] == ["agrees"]


# Which parts are kept


@pytest.mark.parametrize(
    ("options", "reasons"),
    [
        ({}, {}),
        ({"keep_languages": ("en",)}, {"es": ("language es is not among those to keep",)}),
        ({"keep_languages": ("es",), "drop_languages": ("es",)}, {"en": 1, "es": 1}),
        ({"drop_languages": ("en",)}, {"en": ("language en is among those to drop",)}),
        ({"min_part_chars": 8}, {"es": ("7 characters are fewer than 8",)}),
        ({"keep_languages": ("e",)}, {"en": 1, "es": 1}),
    ],
)
def test_verdict_of_each_part(options, reasons, toy_stages):
    if options.get("keep_languages") == ("e",):
        with pytest.raises(ConfigError, match="list of language tags"):
            Config(**options)
        return
    document = process("EN One and two\nES Tres\n", Config(**options))
    found = {part.lang: part.verdict.reasons for part in document.parts() if not part.verdict.keep}
    assert found.keys() == reasons.keys()
    assert all(found[lang] == reasons[lang] for lang in reasons if reasons[lang] != 1)
    assert document.verdict.keep == (len(reasons) < 2)


@pytest.mark.parametrize("option", ["languages", "keep_languages", "drop_languages"])
@pytest.mark.parametrize("name", ["xx", "eng"])
def test_language_that_nobody_knows_is_named(option, name):
    with pytest.raises(ConfigError, match=f"{option}: the detector does not know '{name}'; known are ace, "):
        process(EN, Config(**{option: ("en", name)}))


def test_other_names_of_a_language_serve_too(monkeypatch):
    monkeypatch.setattr(
        pipeline,
        "_stages",
        lambda: (
            lambda documents, config: [
                document.with_spans([Span(0, len(document.text), lang="no")]) for document in documents
            ],
        ),
    )
    assert process("Hei", Config(keep_languages=("nb", "zxx"))).verdict.keep
    assert not process("Hei", Config(drop_languages=("nn",))).verdict.keep


def test_a_language_stands_for_its_scripts_too():
    document = process(TRADITIONAL * 3, Config(keep_languages=("zh",)))
    assert document.verdict.keep
    assert not process(TRADITIONAL * 3, Config(keep_languages=("zh-Hans",))).verdict.keep


def test_dropped_part_goes_to_dropped_with_its_reason_and_comes_back(tmp_path, monkeypatch, toy_stages, capsys):
    monkeypatch.chdir(tmp_path)
    text = "EN One\nAD two\nES Tres\nEN four\n"
    (tmp_path / "a.txt").write_text(text)
    (tmp_path / "b.txt").write_text("ES Tres\n")
    assert main(["run", "a.txt", "b.txt", "-o", "out", "--keep-language", "en,fr"]) == 0
    (kept,) = records(tmp_path / "out" / "documents.jsonl")
    dropped = records(tmp_path / "out" / "dropped.jsonl")
    assert (kept["id"], kept["verdict"]["keep"]) == ("a#en", True)
    assert [record["id"] for record in dropped] == ["a#es", "b"]
    assert {tuple(record["verdict"]["reasons"]) for record in dropped} == {("language es is not among those to keep",)}
    assert main(["restore", "out"]) == 0
    assert [(tmp_path / "out" / "restored" / name).read_text() for name in ("a.txt", "b.txt")] == [text, "ES Tres\n"]
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["parts"] == {"en": 1}


# Where they are written


def test_one_file_per_language_holds_the_same_records_and_restores(tmp_path, monkeypatch, toy_stages):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("EN One\nAD two\nES Tres\n")
    (tmp_path / "b.txt").write_text("ES Tres\nSPAM\n")
    assert main(["run", "a.txt", "b.txt", "-o", "one"]) == 0
    assert main(["run", "a.txt", "b.txt", "-o", "two", "--by-language"]) == 0
    names = sorted(path.name for path in (tmp_path / "two").iterdir())
    assert names == ["documents.en.jsonl", "documents.es.jsonl", "dropped.jsonl", "rejected.jsonl", "summary.json"]
    together = [*records(tmp_path / "two" / "documents.en.jsonl"), *records(tmp_path / "two" / "documents.es.jsonl")]
    assert {record["lang"] for record in records(tmp_path / "two" / "documents.es.jsonl")} == {"es"}
    assert sorted(together, key=str) == sorted(records(tmp_path / "one" / "documents.jsonl"), key=str)
    assert main(["restore", "two"]) == 0
    for name in ("a.txt", "b.txt"):
        assert (tmp_path / "two" / "restored" / name).read_bytes() == (tmp_path / name).read_bytes()


def test_files_of_an_earlier_run_do_not_stay_among_those_of_a_later_one(tmp_path, monkeypatch, toy_stages, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("EN One\nES Tres\n")
    (tmp_path / "b.txt").write_text("FR Un\n")
    assert main(["run", "a.txt", "-o", "out", "--by-language"]) == 0
    assert main(["run", "b.txt", "-o", "out"]) == 2
    assert "exists already; add --force" in capsys.readouterr().err
    (tmp_path / "out" / "dropped.jsonl").unlink()
    (tmp_path / "out" / "rejected.jsonl").unlink()
    (tmp_path / "out" / "summary.json").unlink()
    assert main(["run", "b.txt", "-o", "out"]) == 2
    assert "documents.en.jsonl: exists already" in capsys.readouterr().err
    assert main(["run", "b.txt", "-o", "out", "--force"]) == 0
    assert [path.name for path in (tmp_path / "out").glob("documents*")] == ["documents.jsonl"]
    assert main(["run", "a.txt", "-o", "out", "--force", "--by-language", "--to", "bitext"]) == 0
    assert main(["run", "a.txt", "-o", "out", "--force"]) == 0
    assert not (tmp_path / "out" / "bitext.jsonl").exists()


@pytest.mark.parametrize("option", [["--by-language"], ["--to", "bitext"]])
def test_files_need_a_folder(option, capsys):
    assert main(["run", str(SEEDS[0]), "-o", "-", *option]) == 2
    assert "name a folder with -o" in capsys.readouterr().err


# Options


def test_options_from_toml_and_the_command_line_do_the_same(tmp_path, monkeypatch, capsys):
    path = tmp_path / "options.toml"
    path.write_text("\n".join(f"{name} = {json.dumps(value)}" for name, value in ALL_OPTIONS.items()))
    given = {**ALL_OPTIONS, **{name: tuple(v) for name, v in ALL_OPTIONS.items() if isinstance(v, list)}}
    assert Config.from_toml(path) == Config(**given)
    (tmp_path / "a.txt").write_text(EN + ES)
    line = [
        "--languages",
        "en,es",
        "--keep-language",
        "en",
        "--drop-language",
        "es",
        "--min-part-chars",
        "5",
        "--second-opinion",
    ]
    for number, arguments in enumerate((line, ["--config", str(path)])):
        assert main(["run", str(tmp_path / "a.txt"), "-o", str(tmp_path / f"out{number}"), *arguments]) == 0
    outputs = [(tmp_path / f"out{number}" / "dropped.jsonl").read_bytes() for number in (0, 1)]
    assert outputs[0] == outputs[1] != b""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": "en"}, r"languages is a list; write languages = \['en'\]"),
        ({"keep_languages": ["English"]}, "list of language tags"),
        ({"drop_languages": [1]}, "list of language tags"),
        ({"min_part_chars": -1}, "whole number, 0 or more"),
        ({"second_opinion": "yes"}, "use true or false"),
    ],
)
def test_wrong_option_says_what_is_right(options, message):
    with pytest.raises(ConfigError, match=message):
        Config.from_mapping(options)


def test_records_follow_the_schema(tmp_path):
    schema = json.loads((ROOT / "filter" / "output.schema.json").read_text(encoding="utf-8"))
    out = tmp_path / "out"
    assert main(["run", str(SEEDS[0]), str(SEEDS[4]), "-o", str(out), "--second-opinion", "--drop-language", "es"]) == 0
    written = [*records(out / "documents.jsonl"), *records(out / "dropped.jsonl")]
    for record in written:
        jsonschema.validate(record, schema)
    assert [(r["id"][:3], r["lang"], r["second_opinion"], r["translation_of"] is None) for r in written] == [
        ("000", "en", "agrees", True),
        ("004", "en", "agrees", True),
        ("000", "es", "agrees", False),
    ]


# The splitter and the cleaner

PAYWALL_ES = (
    "Tu suscripción se está usando en otro dispositivo\n"
    "¿Quieres añadir otro usuario a tu suscripción?\n"
    "¿Tienes una suscripción de empresa? Accede aquí para contratar más cuentas.\n"
)


def test_boilerplate_in_another_language_makes_no_document_of_its_own():
    for text in (SEEDS[4].read_text(encoding="utf-8"), NEWS + PAYWALL_ES, PAYWALL_ES + NEWS):
        for policy in (Policy(), Policy(boilerplate="keep")):
            assert [part.lang for part in process(text, Config(policy=policy)).parts()] == ["en"]


def test_neither_half_of_a_bilingual_document_is_lost():
    mixed = "".join(a + b for a, b in zip(NEWS.splitlines(True), NEWS_ES.splitlines(True), strict=True))
    for text in (NEWS + "\n" + NEWS_ES, NEWS_ES + "\n" + NEWS, mixed):
        document = process(text)
        assert document.removed == ()
        assert {part.lang: part.text.split() for part in document.parts()} == {
            "en": NEWS.split(),
            "es": NEWS_ES.split(),
        }


def test_both_at_once():
    document = process(NEWS + "\n" + NEWS_ES + "\n" + PAYWALL_ES)
    assert [(part.lang, part.translation_of) for part in document.parts()] == [("en", None), ("es", "en")]
    assert document.parts()[1].text.split() == NEWS_ES.split()
    assert "".join(document.text[span.start : span.end] for span in document.removed).split() == PAYWALL_ES.split()
