"""Section classifiers in the shape the scoring script of the labelled sections calls: ours, and peers.

    python score_classify.py benchmarks.adapters_classify:cv

`cv` answers for each text with a model that saw neither its story nor, for genuine texts of other kinds, its source;
`logo` with one that saw neither the generator of its machine-written sections nor its domain; `shipped` with the model
in models/. `datatrove_*` is what one of datatrove's filters, or any of the four, drops: whole documents; for it,
TEXTSIEVE_DATATROVE names the Python of an environment with `pip install "datatrove[io,processing]" spacy`.
The models of `cv` and `logo` are learned when first asked for and kept under build/cv/. The labelled data are looked
for in $TEXTSIEVE_DATA, or in `../shared` beside the checkout.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from benchmarks import ROOT, shared_dir
from filter.clean import clean
from filter.config import Config
from filter.document import Document
from filter.language import split_languages
from filter.section_model import SectionModel, stock_phrases
from filter.sections import mark_sections
from filter.segment import line_bounds, segment
from filter.store import load_model, save_model
from filter.training_sections import Example, learn_all, read_examples

Spans = list[tuple[int, int, str, float]]

CACHE = ROOT / "build" / "cv"
TRAINING = ROOT / "training"
OUTER_FOLDS = 5
DOMAINS = (
    (("news",), "gpt-4"),
    (("fiction", "LiteratureCreativeWriting", "mixed"), "Llama-3-70B"),
    (("EducationMaterial", "OnlineContent", "PersonalCommunication", "FoodCusine"), "GPT-3-Turbo"),
    (
        (
            "Environmental",
            "LegalDocument",
            "AcademicResearch",
            "MedicalText",
            "Business",
            "ArtCulture",
            "ProductReview",
        ),
        "Llama-3-70B",
    ),
)
"""Groups of domains, and the generator left out together with each."""


def shipped(text: str) -> Spans:
    return answer(text, _stored("sections", None))


def cv(text: str) -> Spans:
    fold = _folds().get(text, 0)
    return answer(text, _stored(f"sections-cv-{fold}", lambda e: e.bucket % OUTER_FOLDS != fold))


def logo(text: str) -> Spans:
    """With a model that saw neither the text's domain group nor one generator: its own, where that is the one named."""
    return answer(text, unseen_by_domain(text))


def unseen_by_domain(text: str) -> SectionModel:
    """Return the model that `logo` answers with for a text."""
    group = _groups().get(text, 0)
    domains, generator = DOMAINS[group]

    def seen(example: Example) -> bool:
        if example.domain in domains or example.generator == generator:
            return False
        # Genuine text of other kinds is held out by source.
        return any(example.domain in known for known, _ in DOMAINS) or example.bucket % len(DOMAINS) != group

    return _stored(f"sections-logo-{group}", seen)


def phrase_list(text: str) -> Spans:
    """Paragraphs by the number of stock phrases per 100 words; flagged from 4 on."""
    spans: Spans = []
    for start, end in line_bounds(text):
        words = len(text[start:end].split())
        rate = 100 * len(stock_phrases(text[start:end])) / max(words, 20)
        spans.append((start, end, "ai_padding" if rate >= 4 else "human", min(1.0, rate / 20)))
    return spans


def word_lr(text: str) -> Spans:
    """Windows of 90 words by word 1- and 2-grams and logistic regression, cross-validated like `cv`."""
    vectorizer, model = _peer(_folds().get(text, 0))
    spans: Spans = []
    window: list[tuple[int, int]] = []
    lines = list(line_bounds(text))
    for i, (start, end) in enumerate(lines):
        window.append((start, end))
        piece = text[window[0][0] : end]
        if len(piece.split()) >= 90 or i == len(lines) - 1:
            score = float(model.predict_proba(vectorizer.transform([piece]))[0, 1])
            spans.append((window[0][0], end, "ai_padding" if score >= 0.97 else "human", score))
            window = []
    return spans


def datatrove_repetition(text: str) -> Spans:
    return _datatrove(text, ("gopher_repetition",))


def datatrove_gopher(text: str) -> Spans:
    return _datatrove(text, ("gopher_quality",))


def datatrove_c4(text: str) -> Spans:
    return _datatrove(text, ("c4_quality",))


def datatrove_fineweb(text: str) -> Spans:
    return _datatrove(text, ("fineweb_quality",))


def datatrove_all(text: str) -> Spans:
    return _datatrove(text, ("gopher_repetition", "gopher_quality", "c4_quality", "fineweb_quality"))


def _datatrove(text: str, filters: tuple[str, ...]) -> Spans:
    process = _datatrove_process(filters)
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps({"text": text}) + "\n")
    process.stdin.flush()
    is_dropped = any(json.loads(process.stdout.readline()).values())
    return [(0, len(text), "dropped" if is_dropped else "human", float(is_dropped))]


@lru_cache(maxsize=1)
def _datatrove_process(filters: tuple[str, ...]) -> subprocess.Popen[str]:
    """Return a process of datatrove's that says of each line of JSON why each filter drops its text."""
    python = os.environ.get("TEXTSIEVE_DATATROVE")
    if not python:
        raise SystemExit("TEXTSIEVE_DATATROVE does not name the Python of an environment with datatrove")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    script = str(ROOT / "benchmarks" / "peer_datatrove.py")
    command = [python, script, "judge", "/dev/stdin", "/dev/stdout", *filters]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )


@lru_cache(maxsize=OUTER_FOLDS)
def _peer(fold: int) -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    texts: dict[str, int] = {}
    for e in _examples():
        if e.is_real and e.bucket % OUTER_FOLDS != fold:
            texts.update({e.text[a:b]: int(label == "ai_padding") for a, b, label in e.spans})
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True)
    model = LogisticRegression(C=30.0, solver="liblinear", random_state=0)
    return vectorizer, model.fit(vectorizer.fit_transform(texts), list(texts.values()))


def answer(text: str, model: SectionModel) -> Spans:
    """Return what a model marks in a text, after the cleaner and the language splitter."""
    config = Config()
    documents = split_languages(clean([segment(Document(text))], config), config)
    (document,) = mark_sections(documents, model)
    return [
        (span.start, span.end, "human", 0.0)
        if span.label in ("content", "boilerplate")
        else (span.start, span.end, span.label, max(span.score, 0.5))
        for span in document.spans
    ]


def _stored(name: str, seen: Callable[[Example], bool] | None) -> SectionModel:
    if name in _LOADED:
        return _LOADED[name]
    if seen is not None and not (CACHE / f"{name}.npz").is_file():
        print(f"learning {name}", file=sys.stderr)
        learned = learn_all(*([e for e in _examples(for_spam) if seen(e)] for for_spam in (False, True)))
        save_model(name, learned.arrays(), learned.header(), facts={}, folder=CACHE)
    model = load_model(name, CACHE if seen else None)
    _LOADED[name] = SectionModel.from_arrays(model.arrays, model.header)
    return _LOADED[name]


_LOADED: dict[str, SectionModel] = {}


@lru_cache(maxsize=2)
def _examples(for_spam: bool = False) -> list[Example]:
    return read_examples(shared_dir(), TRAINING, for_spam=for_spam)


@lru_cache(maxsize=1)
def _folds() -> dict[str, int]:
    return {e.text: e.bucket % OUTER_FOLDS for e in _examples() if e.is_real}


@lru_cache(maxsize=1)
def _groups() -> dict[str, int]:
    """Return, by text, the group that its model must not have seen."""
    return {
        e.text: next((g for g, (domains, _) in enumerate(DOMAINS) if e.domain in domains), e.bucket % len(DOMAINS))
        for e in _examples()
        if e.is_real
    }
