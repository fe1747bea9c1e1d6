"""The language splitter: what it finds, what it leaves whole, and what holds for any text."""

from __future__ import annotations

import importlib.util
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filter import detectors, process
from filter.config import Config
from filter.document import Document
from filter.language import split, split_languages
from filter.segment import segment

from .conftest import ROOT, cases

EN = "The court met on Monday and rejected the appeal of the former minister."
ES = "El tribunal se reunió el lunes y rechazó el recurso del antiguo ministro."
SUBSCRIBE_ES = "Tu suscripción se está usando en otro dispositivo\n¿Quieres añadir otro usuario a tu suscripción?\n"

# Marks, letters of several scripts, and what breaks detectors: controls, lone surrogates, noncharacters.
texts = st.text(
    st.one_of(
        st.sampled_from(
            "ab éñд漢かア한ع \n\r\t.!?—–-|/·•:«»\"'()#@<>`0\x00\x0b\x85\u2028\xa0\ud800\ufffe\u0301\u0e01😀"
        ),
        st.characters(),
    ),
    max_size=200,
)
detector_names = st.sampled_from(["mixture", "langdetect"])


def stage(text: str, config: Config | None = None) -> Document:
    return split_languages([segment(Document(text))], config or Config())[0]


def langs(document: Document) -> set[str]:
    return {span.lang for span in document.spans}


@pytest.mark.parametrize("case", list(cases("language.jsonl")))
def test_stretches_of_one_language(case):
    text = case["text"]
    assert [[lang, text[start:end].strip()] for start, end, lang in split(text)] == case["parts"]


@settings(deadline=None, max_examples=150)
@given(texts, detector_names)
def test_any_text_is_tiled(text, detector):
    stretches = split(text, detector=detector)
    assert "".join(text[start:end] for start, end, _ in stretches) == text
    assert all(end > start and lang for start, end, lang in stretches)
    assert all(a[2] != b[2] for a, b in pairwise(stretches))


@settings(deadline=None, max_examples=100)
@given(st.lists(texts, max_size=4), detector_names)
def test_the_stage_keeps_text_names_every_span_and_settles(documents, detector):
    config = Config(detector=detector)
    before = [segment(Document(text)) for text in documents]
    after = split_languages(before, config)
    assert [document.text for document in after] == documents
    # What cannot be named is kept whole.
    assert all(
        {span.lang for span in document.spans} <= {"und", "zxx"} for document in after if "und" in langs(document)
    )
    # Alone or in a batch, once or twice: the same.
    assert after == [split_languages([document], config)[0] for document in before]
    assert after == split_languages(after, config)


HOSTILE = {
    "one letter": "a",
    "a long word": "a" * 300_000,
    "blanks": " \n" * 150_000,
    "full stops": "." * 300_000,
    "separators": " - " * 100_000,
    "at signs": "a@" * 150_000,
    "angle brackets": "<" * 300_000,
    "open links": "](" * 150_000,
    "domains without an end": "a." * 150_000 + "/",
    "short lines": "a\n" * 150_000,
    "surrogates": "\ud800" * 100_000,
    "zero bytes": "a\x00" * 100_000,
    "combining marks": "a" + "\u0301" * 100_000,
    "ideographs": "漢" * 100_000,
}


@pytest.mark.parametrize("text", list(HOSTILE.values()), ids=list(HOSTILE))
def test_hostile_text_is_no_trouble(text):
    assert "".join(text[start:end] for start, end, _ in split(text)) == text


def test_a_very_long_text_is_split_in_windows():
    text = f"{EN}\n{ES}\n" * 15_000
    stretches = split(text)
    assert len(stretches) == 30_000
    assert {lang for _, _, lang in stretches} == {"en", "es"}


@pytest.mark.parametrize("path", sorted((ROOT / "seeds").glob("*.txt")), ids=lambda path: path.stem)
def test_seeds_line_by_line(path):
    rows = map(json.loads, (ROOT / "seeds" / "gold.jsonl").read_text(encoding="utf-8").splitlines())
    gold = {row["id"]: row["spans"] for row in rows}[path.stem]
    document = stage(path.read_text(encoding="utf-8"))
    found = [
        {span.lang for span in document.spans if span.start < line["end"] and span.end > line["start"]} for line in gold
    ]
    assert found == [{line["lang"]} for line in gold]


def test_a_bilingual_headline_leaves_no_dangling_dash():
    text = f"Court rejects the appeal — El tribunal rechaza el recurso\n\n{EN}\n\n{ES}\n"
    document = stage(text)
    separator = document.spans[1]
    assert text[separator.start : separator.end] == " — "
    assert (separator.label, separator.category, separator.lang) == ("boilerplate", "metadata", "zxx")
    assert separator.source == "rule:language/separator"
    assert [(part.lang, part.text) for part in document.parts()] == [
        ("en", f"Court rejects the appeal\n\n{EN}\n\n"),
        ("es", f"El tribunal rechaza el recurso\n\n{ES}\n"),
    ]


def test_boilerplate_gets_its_language_but_no_say():
    document = segment(Document(f"{EN}\n{SUBSCRIBE_ES}"))
    marked = document.with_spans(
        span if i == 0 else replace(span, label="boilerplate", category="paywall", score=0.9, source="rule:es/x")
        for i, span in enumerate(document.spans)
    )
    result = split_languages([marked], Config())[0]
    assert [(span.label, span.lang, span.source) for span in result.spans] == [
        ("content", "en", "default"),
        ("boilerplate", "es", "rule:es/x"),
        ("boilerplate", "es", "rule:es/x"),
    ]
    assert [part.lang for part in result.parts()] == ["en"]


NOTICES = {
    "de": "Melden Sie sich für unseren Newsletter an\nAlle Rechte vorbehalten\nDatenschutzerklärung und Cookies\n",
    "fr": "Abonnez-vous à notre newsletter\nTous droits réservés\nPartager sur Facebook\n",
    "it": "Iscriviti alla nostra newsletter\nTutti i diritti riservati\nCondividi su Facebook\n",
    "pt": "Assine a nossa newsletter\nTodos os direitos reservados\nCompartilhe no Facebook\n",
}
ARTICLE = (
    "The keeper of the lighthouse climbs its stairs twice a day.\n"
    "She has counted them since the lamp was last repaired, and says there is one more each winter.\n"
    "Fishermen steer by the light when fog hides the reefs behind the island.\n"
)
SECOND_HALVES = {
    "de": "Die Wärterin des Leuchtturms steigt zweimal am Tag die Treppe hinauf.\n"
    "Die Fischer richten sich nach dem Licht, wenn der Nebel die Riffe hinter der Insel verdeckt.\n",
    "fr": "La gardienne du phare monte son escalier deux fois par jour.\n"
    "Les pêcheurs se guident sur la lumière quand la brume cache les récifs derrière l'île.\n",
    "fi": "Majakan vartija kiipeää portaat kaksi kertaa päivässä ja sanoo, että niitä on joka talvi yksi enemmän.\n"
    "Kalastajat suunnistavat valon mukaan, kun sumu peittää saaren takaiset karit.\n",
    "uk": "Доглядачка маяка двічі на день піднімається його сходами.\n"
    "Рибалки тримають курс на світло, коли туман ховає рифи за островом.\n",
}


@pytest.mark.parametrize("lang", NOTICES)
def test_notices_in_another_language_make_no_document(lang):
    document = process(f"{ARTICLE}{NOTICES[lang]}")
    assert [(part.lang, part.text) for part in document.parts()] == [("en", ARTICLE)]


@pytest.mark.parametrize("lang", SECOND_HALVES)
@pytest.mark.parametrize("notice", NOTICES.values(), ids=NOTICES)
def test_no_half_is_lost_beside_notices(lang, notice):
    document = process(f"{ARTICLE}{notice}\n{SECOND_HALVES[lang]}")
    assert [(part.lang, part.text.strip()) for part in document.parts()] == [
        ("en", ARTICLE.strip()),
        (lang, SECOND_HALVES[lang].strip()),
    ]


def test_content_may_start_inside_a_line():
    text = (
        "Sign up for our weekly newsletter today. The court met — the judge spoke — the minister left — and it rained."
    )
    spans = (
        replace(segment(Document(text)).spans[0], end=41, label="boilerplate"),
        replace(segment(Document(text)).spans[0], start=41),
    )
    result = split_languages([Document(text).with_spans(spans)], Config())[0]
    assert [(span.label, span.lang) for span in result.spans] == [("boilerplate", "en"), ("content", "en")]


def test_a_removed_line_keeps_its_label_when_cut():
    document = segment(Document(f"{EN}\nSign up for our weekly newsletter — Suscríbete a nuestro boletín semanal"))
    marked = document.with_spans(
        replace(span, label="boilerplate", category="newsletter") if i else span
        for i, span in enumerate(document.spans)
    )
    result = split_languages([marked], Config())[0]
    assert [(span.label, span.lang) for span in result.spans[1:]] == [("boilerplate", "en"), ("boilerplate", "es")]


def test_lines_without_words_are_in_no_language():
    document = stage(f"{EN}\n17\n{EN}\n—\nEDH: https://www.elsalvador.com/noticias/1198146/\nFeb 5, 2025\n")
    assert [span.lang for span in document.spans] == ["en", "zxx", "en", "zxx", "zxx", "en"]
    assert [part.lang for part in document.parts()] == ["en"]


def test_made_up_words_are_left_undetermined():
    document = stage("Kwizzle fromp tandle brixo mulvent garbo zilch prondo.")
    assert [span.lang for span in document.spans] == ["und"]
    assert [part.lang for part in document.parts()] == ["und"]


def test_naive_bayes_scores_as_py3langid_does():
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    lines = [
        EN,
        ES,
        "Уряд учора оголосив",
        "気象庁は発表した。",
        "e\u0301te\u0301",
        "x" * 300,
        "Влада је саопштила",
        "Vlada je",
    ]
    model = detectors.naive_bayes()
    scores = model.scores(lines)
    reference = LanguageIdentifier.from_model_file(MODEL_FILE)
    for line, row in zip(lines, scores, strict=True):
        size = len(reference._encode(line))
        expected = dict.fromkeys(model.languages, -np.inf)
        for code, score in reference.rank(line):
            if detectors.tag(code):
                expected[detectors.tag(code)] = max(expected[detectors.tag(code)], score / size**0.5)
        np.testing.assert_allclose(row, [expected[name] for name in model.languages], rtol=1e-4)


def test_scores_do_not_depend_on_the_batch():
    lines = [EN, "", ES, "漢字", "17"] * 3_000
    model = detectors.naive_bayes()
    together = model.scores(lines)
    np.testing.assert_array_equal(together[:5], model.scores(lines[:5]))
    np.testing.assert_array_equal(together[-5:], together[:5])


def test_langdetect_is_seeded_without_touching_the_class():
    import langdetect.detector_factory as theirs

    before = theirs.DetectorFactory.seed
    first = detectors.langdetect(EN)
    detectors._langdetect_pairs.cache_clear()
    assert detectors.langdetect(EN) == first
    assert max(first, key=first.get) == "en"
    assert theirs.DetectorFactory.seed is before
    assert theirs._factory is None or theirs._factory.seed is None


@pytest.mark.parametrize("detector", ["mixture", "langdetect"])
def test_threads_agree(detector):
    detectors._langdetect_pairs.cache_clear()
    lines = [f"{EN} {i}\n{ES} {i}\n" for i in range(12)]
    alone = [split(text, detector=detector) for text in lines]
    detectors._langdetect_pairs.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda text: split(text, detector=detector), lines)) == alone


def test_langdetect_splits_two_languages():
    english = f"{EN}\nThe decision is final, said the judge, and will be published next week.\n\n"
    spanish = f"{ES}\nLa decisión es definitiva, dijo el juez, y se publicará la semana que viene.\n"
    border = len(english)
    found = split(english + spanish, detector="langdetect")
    assert found == [(0, border, "en"), (border, border + len(spanish), "es")]


def test_detectors_have_no_opinion_on_nothing():
    assert detectors.langdetect("") == detectors.cld2("") == {}
    assert detectors.cld2("\ufdd0") == {}
    assert detectors.naive_bayes().scores([]).shape[0] == 0
    assert not detectors.naive_bayes().scores([""]).any()


def test_labelled_documents(shared_dir: Path):
    scorer = _module(shared_dir / "eval" / "score_lang.py")
    rows = (shared_dir / "data" / "lang" / "dev.jsonl").read_text(encoding="utf-8").splitlines()[::6]
    scores = [(row, scorer.score_doc(row["text"], row["spans"], split(row["text"]))) for row in map(json.loads, rows)]
    mixed = [score for row, score in scores if row["nlang"] > 1]
    single = [score for row, score in scores if row["nlang"] == 1]
    assert np.mean([score["split_ok"] for score in mixed]) >= 0.965
    assert np.mean([border <= 3 for score in mixed for border in score["berr"]]) >= 0.98
    assert not any(score["false_split"] for score in single)


def _module(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
