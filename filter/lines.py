"""The learned line classifier: how likely each line is boilerplate, from what it says, how it looks, where it stands.

Three steps, each fed by the one before. Hashed n-grams say what a line's own words suggest; a small neural network
weighs that against its shape, its neighbours and its document; a second one settles the unsure lines by the network's
opinion of those around them. Prediction is NumPy on plain arrays and does not depend on a version of scikit-learn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from .features import (
    Lines,
    alike,
    around,
    beside,
    buckets,
    context,
    dense,
    hits,
    known_words,
    stretches,
    within_body,
)
from .store import Model, load_model

__all__ = ["DOUBTS", "LineModel", "Net", "TextModel", "line_scores", "threshold", "using"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

# A batch is worked on in pieces whose arrays stay in the processor's cache.
_CHUNK_CHARS = 200_000
_LINE_COST = 40  # what a line costs besides its characters, in characters
_MAX_LINES, _MAX_CHARS = 20_000, 1_000_000
"""A document of more is judged in windows, so that time and memory stay bounded."""
_MAX_LINE_CHARS = 20_000  # more of a line makes it no surer
DOUBTS: Mapping[str, float] = {"gentle": 0.2, "balanced": 0.0, "strict": 0.0}
"""The score below which a rule's hit is left in place, per preset: of such hits, nearly half are genuine text."""

# What a rule's hit counts for among the neighbours: as much as words the model is sure of.
_MARKED_LOGIT = np.float32(4.0)


def sigmoid(logits: Array) -> Floats:
    """Return 1 / (1 + e^-x), safe for any x."""
    out: Floats = (0.5 * (1.0 + np.tanh(0.5 * np.asarray(logits, dtype=np.float32)))).astype(np.float32)
    return out


@dataclass(frozen=True)
class TextModel:
    """A linear model over hashed n-grams.

    Attributes:
        weights: one per bucket, in units of `scale`.
        scale: what one step of a weight is worth.
        bias: the logit of a line without n-grams.
        known: a bit set of the words it has learned from, see `features.known_words`.
    """

    weights: Array
    scale: float
    bias: float
    known: Array

    def __call__(self, lines: Lines) -> Floats:
        """Return the logit of each line, judged by its own words."""
        bits = len(self.weights).bit_length() - 1
        total = np.zeros(len(lines))
        every = np.arange(len(lines) + 1)
        for line, bucket in buckets(lines, bits):
            if (line[1:] < line[:-1]).any():
                order = np.argsort(line, kind="stable")
                line, bucket = line[order], bucket[order]
            # Weights are whole numbers: their running total is exact.
            edges = np.searchsorted(line, every)
            weighed = np.zeros(len(line) + 1, dtype=np.int64)
            np.cumsum(self.weights.take(bucket), out=weighed[1:])
            total += np.diff(weighed[edges]) / np.sqrt(np.maximum(np.diff(edges), 1))
        return (total * self.scale + self.bias).astype(np.float32)


@dataclass(frozen=True)
class Net:
    """A neural network with rectified hidden layers and one output; several may be averaged.

    Attributes:
        mean, scale: what brings each input to mean 0 and deviation 1.
        layers: for each member, its `(weights, bias)` from input to output.
    """

    mean: Array
    scale: Array
    layers: tuple[tuple[tuple[Array, Array], ...], ...]

    LIMIT = 4.0

    def standardise(self, inputs: Array) -> Floats:
        """Return the inputs as the hidden layers want them; far-out values are pulled in."""
        standard: Floats = np.clip((inputs - self.mean) * self.scale, -self.LIMIT, self.LIMIT).astype(np.float32)
        return standard

    def __call__(self, inputs: Array) -> Floats:
        """Return the logit of each row."""
        # The last bits of a product depend on how many rows are multiplied at once; rounding from double hides them.
        standard = self.standardise(inputs).astype(np.float64)
        total = np.zeros(len(inputs))
        for layers in self.layers:
            hidden = standard
            for weights, bias in layers[:-1]:
                hidden = np.maximum(hidden @ weights + bias, 0)
            weights, bias = layers[-1]
            total += (hidden @ weights + bias)[:, 0]
        return (total / len(self.layers)).astype(np.float32)


def first_inputs(lines: Lines, shape: Floats, said: Floats, known: Floats, marked: Array) -> Floats:
    """Return the inputs of the first network.

    Args:
        lines: the batch.
        shape: `features.dense` of it.
        said: logits of the text model.
        known: the share of each line's words that the text model has learned from.
        marked: whether a rule has found the line already; its neighbours are told.
    """
    said = np.clip(said, -6, 6)
    columns = [shape, context(lines, sigmoid(said)), said[:, None], known[:, None]]
    columns += [beside(lines, said, step, 0.0)[:, None] for step in (-1, 1)]
    columns += [around(lines, known, 6)[:, None]]
    columns += _surroundings(lines, said, marked)
    return np.hstack(columns)


def _surroundings(lines: Lines, logits: Floats, marked: Array) -> list[Floats]:
    """Return what rules have found, and what an opinion says of like lines, of the stretch, of the article's place."""
    scores = sigmoid(np.where(marked, np.maximum(logits, _MARKED_LOGIT), logits)).astype(np.float64)
    return [
        hits(lines, marked),
        alike(lines, scores),
        stretches(lines, scores, marked),
        within_body(lines, scores),
    ]


# What the second network sees of a line besides the first one's opinions: length, sentence end, place.
_LOOK = slice(0, 60)


def second_inputs(lines: Lines, shape: Floats, said: Floats, logits: Floats, marked: Array) -> Floats:
    """Return the inputs of the second network: the first one's opinion of each line and of those around it."""
    logits = np.where(marked, np.maximum(logits, _MARKED_LOGIT), logits)
    logits = np.clip(logits, -8, 8).astype(np.float32)
    columns = [shape[:, _LOOK], context(lines, sigmoid(logits)), logits[:, None], np.clip(said, -6, 6)[:, None]]
    columns += [beside(lines, logits, step, -2.0)[:, None] for step in (-3, -2, -1, 1, 2, 3)]
    columns += [around(lines, logits, reach)[:, None] for reach in (2, 5)]
    columns += _surroundings(lines, logits, marked)
    return np.hstack(columns)


@dataclass(frozen=True)
class LineModel:
    """The three steps and what turns their outcome into scores.

    Attributes:
        text, first, second: the steps.
        slope, offset: what makes the second network's logits true probabilities on pages it has not seen.
        discount: how much surer one must be of a long line: the logit falls by this for each factor e in length.
        free_chars: up to this length nothing is taken off.
        sentence: how much surer one must be of a sentence.
        max_lost_share: how much of a document's genuine text may be expected to go before its lines need more.
        thresholds: the score from which a line is boilerplate, per preset.
    """

    text: TextModel
    first: Net
    second: Net
    slope: float = 1.0
    offset: float = 0.0
    discount: float = 0.0
    free_chars: int = 40
    sentence: float = 0.0
    max_lost_share: float = 1.0
    thresholds: Mapping[str, float] | None = None

    def logits(self, lines: Lines, marked: Array) -> Floats:
        """Return the calibrated logit of each line, before caution."""
        shape = dense(lines)
        said = self.text(lines)
        first = self.first(first_inputs(lines, shape, said, known_words(lines, self.text.known), marked))
        second = self.second(second_inputs(lines, shape, said, first, marked))
        return second * np.float32(self.slope) + np.float32(self.offset)

    def scores(self, lines: Lines, marked: Array) -> Floats:
        """Return the score of each line, in [0, 1]."""
        lowered = self.cautious(self.logits(lines, marked), lines.doc, lines.cost, lines.is_sentence, marked)
        return np.round(sigmoid(lowered), 4)

    def cautious(self, logits: Array, doc: Array, cost: Array, is_sentence: Array, marked: Array) -> Array:
        """Return the logits lowered by what a mistake would cost.

        A wrongly removed line costs as many characters as it has, so a long one must be surer; and a
        sentence is missed more than a heading. Where a document's likeliest lines together would be expected to take
        more than `max_lost_share` of its genuine text, the model rather misjudges the document: the lines beyond need
        more.

        Args:
            logits: calibrated; their probabilities say how much genuine text to expect in a line.
            doc: the number of each line's document, in order from 0.
            cost: the length of each line, `Lines.cost`.
            is_sentence: whether it is one, `Lines.is_sentence`.
            marked: lines that go on other evidence, and cost nothing here.
        """
        lowered = logits - self.discount * np.log(np.maximum(cost, self.free_chars) / self.free_chars)
        if not len(lowered):
            return lowered
        lowered -= self.sentence * is_sentence
        score = sigmoid(logits).astype(np.float64)
        genuine = (1.0 - score) * np.where(marked, 0, cost)
        order = np.lexsort((-lowered, doc))
        own = doc[order]
        lost = np.cumsum(genuine[order])
        first = np.searchsorted(own, own)
        lost -= np.where(first > 0, lost[first - 1], 0.0)
        total = np.bincount(own, weights=genuine[order])[own]
        share = lost / np.maximum(total, 1e-9)
        lowered[order] -= np.log(np.maximum(share / self.max_lost_share, 1.0))
        return lowered

    @classmethod
    def from_store(cls, model: Model) -> LineModel:
        """Return the model that `to_store` took apart."""
        arrays, header = model
        nets = {name: _net_from(arrays, name, header["nets"][name]) for name in ("first", "second")}
        text = TextModel(arrays["text.weights"], header["text"]["scale"], header["text"]["bias"], arrays["text.known"])
        return cls(text, nets["first"], nets["second"], **header["scores"])

    def to_store(self) -> Model:
        """Return the model as plain arrays and JSON values."""
        arrays = {"text.weights": self.text.weights, "text.known": self.text.known}
        for name, net in (("first", self.first), ("second", self.second)):
            arrays |= {f"{name}.mean": net.mean, f"{name}.scale": net.scale}
            for member, layers in enumerate(net.layers):
                for depth, (weights, bias) in enumerate(layers):
                    arrays |= {f"{name}.{member}.{depth}.weights": weights, f"{name}.{member}.{depth}.bias": bias}
        scores = {
            "slope": self.slope,
            "offset": self.offset,
            "discount": self.discount,
            "free_chars": self.free_chars,
            "sentence": self.sentence,
            "max_lost_share": self.max_lost_share,
            "thresholds": dict(self.thresholds or {}),
        }
        nets = {
            name: [len(layers) for layers in net.layers]
            for name, net in (("first", self.first), ("second", self.second))
        }
        return Model(
            arrays, {"text": {"scale": self.text.scale, "bias": self.text.bias}, "nets": nets, "scores": scores}
        )


def _net_from(arrays: Mapping[str, Array], name: str, depths: Sequence[int]) -> Net:
    layers = tuple(
        tuple(
            (arrays[f"{name}.{member}.{depth}.weights"], arrays[f"{name}.{member}.{depth}.bias"])
            for depth in range(count)
        )
        for member, count in enumerate(depths)
    )
    return Net(arrays[f"{name}.mean"], arrays[f"{name}.scale"], layers)


_OVERRIDE: ContextVar[LineModel | None] = ContextVar("line_model", default=None)
_LOADED: dict[int, LineModel] = {}


@contextmanager
def using(model: LineModel) -> Iterator[None]:
    """Use another model within a `with` block, for instance one that has not seen the pages it is measured on."""
    token = _OVERRIDE.set(model)
    try:
        yield
    finally:
        _OVERRIDE.reset(token)


def _model() -> LineModel:
    override = _OVERRIDE.get()
    if override is not None:
        return override
    stored = load_model("lines")
    if id(stored) not in _LOADED:
        _LOADED.clear()
        _LOADED[id(stored)] = LineModel.from_store(stored)
    return _LOADED[id(stored)]


def threshold(preset: str) -> float:
    """Return the score from which a line is boilerplate under a preset.

    Raises:
        ModelError: the model cannot be loaded.
        KeyError: there is no such preset.
    """
    return float((_model().thresholds or {})[preset])


def line_scores(documents_lines: Sequence[Sequence[str]], marked: Sequence[Array]) -> list[Floats]:
    """Return how likely each line is boilerplate, one array per document.

    The score is a probability, measured on extracted pages of unseen sites, lowered where a mistake would cost much:
    for long lines, for sentences, and for the less sure lines of a document that would lose much. Compare with
    `threshold`. It has four digits, and does not depend on what else is in the batch.

    Args:
        documents_lines: the lines of each document, without line breaks.
        marked: for each line, whether a rule has already found it to be boilerplate; this makes its neighbours
            more suspect.

    Raises:
        ModelError: the model cannot be loaded.
        ValueError: `marked` does not match the lines.
    """
    if [len(lines) for lines in documents_lines] != [len(flags) for flags in marked]:
        raise ValueError("marked needs one flag per line of each document")
    model = _model()
    windows, flags, counts = _windows(documents_lines, marked)
    scores: list[Floats] = []
    for start, end in _chunks(windows):
        lines = Lines(windows[start:end])
        found = model.scores(lines, np.concatenate(flags[start:end])) if len(lines) else np.zeros(0, dtype=np.float32)
        scores += np.split(found, np.cumsum([len(own) for own in flags[start:end]])[:-1])
    each = iter(scores)
    return [next(each) if count == 1 else np.concatenate([next(each) for _ in range(count)]) for count in counts]


def _windows(
    documents: Sequence[Sequence[str]], marked: Sequence[Array]
) -> tuple[list[Sequence[str]], list[Array], list[int]]:
    """Return the documents with long ones cut into windows, the flags of their lines, and how many each has become."""
    windows: list[Sequence[str]] = []
    flags: list[Array] = []
    counts = []
    for lines, own in zip(documents, marked, strict=True):
        own = np.asarray(own, dtype=bool)
        chars = np.cumsum([0, *map(len, lines)])
        if chars[-1] > _MAX_LINE_CHARS:
            lines = [line[:_MAX_LINE_CHARS] for line in lines]
            chars = np.cumsum([0, *map(len, lines)])
        # A new window begins with the line in which the next million characters, or 20,000 lines, begin.
        number = np.maximum(chars[:-1] // _MAX_CHARS, np.arange(len(lines)) // _MAX_LINES)
        edges = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(lines)]
        counts.append(len(edges) - 1)
        for start, end in pairwise(edges):
            windows.append(lines[start:end])
            flags.append(own[start:end])
    return windows, flags, counts


def _chunks(documents: Sequence[Sequence[str]]) -> Iterator[tuple[int, int]]:
    start, chars = 0, 0
    for i, lines in enumerate(documents):
        chars += sum(map(len, lines)) + _LINE_COST * len(lines)
        if chars >= _CHUNK_CHARS:
            yield start, i + 1
            start, chars = i + 1, 0
    if start < len(documents):
        yield start, len(documents)
