"""Learns which blocks of a page belong to its main text, from pages whose main text people have written down.

Pages of one site stay together, as in all training: see `training`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .blocks import BlockModel, Blocks, features, models_to_store, unnamed
from .errors import InputError
from .grafts import grafted
from .store import save_model
from .training import FOLDS, LICENCES, data_folder, facts, fit_net, fold_of, read_jsonl

__all__ = ["train_blocks"]

Array = npt.NDArray[Any]

SOURCES = ("fundus", "np4k", "trafeval", "wcxb", "zyte")
"""The collections of pages the models learn from; `waddle` is GPL-3.0 and only ever measured on."""

MODELS = {"alone": False, "voted": True}
"""Each model, and whether it is told what other extractors take; one that is told holds the networks of both."""

_GRAM = 4
_THRESHOLD = 0.5
_MAX_BLOCK_WEIGHT, _PAGE_WEIGHT = 30.0, 400.0
_SNIPPETS_TRUST = 0.7
_FAR_SHARE, _NEAR_BLOCKS = 0.25, 6
_MIN_VARIED = 0.004
_MIN_INNER_VARIED = 0.02
_SEED = 20261121
_WORDS = re.compile(r"\w+")
_CHARACTERS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]|\w+")
_VARIANT_WEIGHT = 0.7
_MAX_LEFT = 5
_MIN_PARAGRAPH_CHARS = 60
_UNNAMED_SHARE = 0.5
_GRAFT_WEIGHT, _GRAFT_SHARE = 0.5, 0.5
_TAKES_GRAFTS = {"trafilatura": 0.25, "resiliparse": 0.6}
_fit = partial(fit_net, hidden=(48, 16), epochs=8, dropout=0.3, seeds=(0, 1, 2), batch=512)


@dataclass(frozen=True, slots=True)
class _Page:
    source: str
    fold: int
    blocks: Blocks
    votes: Mapping[str, Array]
    labels: Array
    weights: Array
    tokens: list[list[str]]
    gold: Counter[tuple[str, ...]] | None


def _grams(tokens: Sequence[str]) -> Counter[tuple[str, ...]]:
    """Return the runs of four tokens, or all of a shorter text; as the HTML benchmarks count."""
    return Counter(tuple(tokens[i : i + _GRAM]) for i in range(max(1, len(tokens) - _GRAM + 1)) if tokens)


def gold_shares(tokens: Sequence[Sequence[str]], gold: Sequence[str]) -> Array:
    """Return for each block the share of its tokens that the main text holds, in runs of four.

    A block of fewer tokens that the main text holds somewhere goes by the blocks around it. Of a block that the page
    repeats more often than the main text does, the copies in the best company count. A block without tokens is 0.5:
    nobody can tell.

    >>> gold_shares([["Menu"], "The river rose by two".split(), ["Share"]], "The river rose by two metres".split())
    array([0., 1., 0.])
    """
    known = _grams(gold)
    flat = [token for block in tokens for token in block]
    covered = np.zeros(len(flat), dtype=bool)
    for i in range(len(flat) - _GRAM + 1):
        if tuple(flat[i : i + _GRAM]) in known:
            covered[i : i + _GRAM] = True
    running = np.concatenate([[0], np.cumsum(covered)])
    sizes = np.array([len(block) for block in tokens], dtype=np.int64)
    ends = np.cumsum(sizes)
    shares: Array = (running[ends] - running[ends - sizes]) / np.maximum(sizes, 1)
    joined = f" {' '.join(gold)} "
    is_long = sizes >= _GRAM
    sure = shares.copy()
    for i in np.flatnonzero(~is_long).tolist():
        around = slice(max(0, i - 3), i + 4)
        company = sure[around][is_long[around]]
        if not sizes[i]:
            shares[i] = 0.5
        elif f" {' '.join(tokens[i])} " not in joined or not len(company):
            shares[i] = 0.0
        else:
            shares[i] = 1.0 if company.mean() > 0.5 else 0.5 if company.max() > 0.5 else 0.0
    copies: dict[str, list[int]] = defaultdict(list)
    for i, block in enumerate(tokens):
        if len(block) >= _GRAM - 1 and shares[i] > 0.5:
            copies[" ".join(block)].append(i)
    for text, where in copies.items():
        allowed = max(1, joined.count(f" {text} "))
        if len(where) > allowed:
            others = shares.copy()
            others[where] = 0.0
            company_of = {i: float(others[max(0, i - 4) : i + 5].mean()) for i in where}
            for i in sorted(where, key=lambda i: -company_of[i])[allowed:]:
                shares[i] = 0.0
    return shares


def _snippet_shares(texts: Sequence[str], wanted: Sequence[str], unwanted: Sequence[str]) -> Array:
    """Return 1 for blocks that hold a wanted snippet, 0 for an unwanted one, 0.5 for all others."""

    def key(text: str) -> str:
        return f" {' '.join(_WORDS.findall(text.lower()))} "

    shares = np.full(len(texts), 0.5)
    for i, text in enumerate(map(key, texts)):
        found = [any(key(snippet).strip() and key(snippet) in text for snippet in own) for own in (wanted, unwanted)]
        if found[0] != found[1]:
            shares[i] = float(found[0])
    return shares


def _read(folder: Path) -> Iterator[_Page]:
    from .extract import page_blocks, page_votes

    random = np.random.default_rng(_SEED)
    for source in SOURCES:
        for row in read_jsonl(folder / f"html.{source}.jsonl.xz"):
            with suppress(InputError):
                tree, blocks = page_blocks(row["html"])
                if not blocks.texts:
                    continue
                pattern = _CHARACTERS if row["lang"] in ("zh", "ja", "th") else _WORDS
                tokens = [pattern.findall(text) for text in blocks.texts]
                if row.get("gold"):
                    gold = pattern.findall(row["gold"])
                    shares, counted = gold_shares(tokens, gold), _grams(gold)
                else:
                    shares = _snippet_shares(blocks.texts, row.get("with", ()), row.get("without", ()))
                    counted = None
                votes = page_votes(row["html"], tree, blocks)
                weights = _weights(blocks, shares, random) * (1.0 if counted else _SNIPPETS_TRUST)
                fold = fold_of(row["domain"])
                yield _Page(source, fold, blocks, votes, shares > 0.5, weights, tokens, counted)


def _weights(blocks: Blocks, shares: Array, random: np.random.Generator) -> Array:
    """Return what each block counts for; of boilerplate far from all content a part stands for the rest."""
    chars = np.array([len(text) for text in blocks.texts])
    weights = np.minimum(np.sqrt(chars), _MAX_BLOCK_WEIGHT) * 2 * np.abs(shares - 0.5)
    weights *= np.sqrt(min(1.0, _PAGE_WEIGHT / max(float(weights.sum()), 1.0)))
    reach = np.ones(2 * _NEAR_BLOCKS + 1)
    is_near = np.convolve(shares > 0.5, reach)[_NEAR_BLOCKS : _NEAR_BLOCKS + len(shares)] > 0
    stays = random.random(len(shares)) < _FAR_SHARE
    far: Array = np.where(stays, weights / _FAR_SHARE, 0.0)
    return np.where(is_near, weights, far)


def _variants(pages: Sequence[_Page]) -> Iterator[_Page]:
    """Yield each page once more as it might have been: its article cut after a few paragraphs, or its names gone.

    Most pages to learn from hold long articles and speaking names. Where the article is short, teasers and comments
    make up most of the running text; where nothing has a name, as on old pages, place and shape alone must do.
    """
    random = np.random.default_rng(_SEED)
    for page in pages:
        keep = np.ones(len(page.labels), dtype=bool)
        left, is_unnamed = int(random.integers(1, _MAX_LEFT)), random.random() < _UNNAMED_SHARE
        is_long = np.array([len(text) > _MIN_PARAGRAPH_CHARS for text in page.blocks.texts])
        paragraphs = np.flatnonzero(page.labels & is_long)
        if len(paragraphs) >= _MAX_LEFT:
            keep[paragraphs[left] :] = ~page.labels[paragraphs[left] :]
        else:
            is_unnamed = True
        blocks = page.blocks.only(keep)
        yield replace(
            page,
            blocks=unnamed(blocks) if is_unnamed else blocks,
            votes={name: vote[keep] for name, vote in page.votes.items()},
            labels=page.labels[keep],
            weights=page.weights[keep] * _VARIANT_WEIGHT,
        )


def _grafts(pages: Sequence[_Page]) -> Iterator[_Page]:
    """Yield pages with a list of teasers or a thread of comments beside the article, of words from pages of its fold.

    What other extractors would take of such a list is a guess: none of it, or nearly all of its running text.
    """
    random = np.random.default_rng(_SEED)
    texts: dict[int, list[str]] = defaultdict(list)
    for page in pages:
        own = zip(page.blocks.texts, page.labels.tolist(), strict=True)
        texts[page.fold] += [text for text, is_article in own if is_article and len(text) > _MIN_PARAGRAPH_CHARS]
    for page in pages:
        own_texts = texts[page.fold]
        found = grafted(page.blocks, page.labels, own_texts, random) if own_texts else None
        if found is None:
            continue
        blocks, before = found
        is_new = before < 0
        is_prose = np.array([len(text) >= _MIN_PARAGRAPH_CHARS for text in blocks.texts])
        weights = np.sqrt([len(text) for text in blocks.texts]) * is_new
        weights = np.minimum(weights, _MAX_BLOCK_WEIGHT) * min(1.0, _GRAFT_SHARE * page.weights.sum() / weights.sum())
        votes = {
            name: np.where(is_new, is_prose * (random.random() < _TAKES_GRAFTS[name]), vote[before])
            for name, vote in page.votes.items()
        }
        yield replace(
            page,
            blocks=blocks,
            votes=votes,
            labels=page.labels[before] & ~is_new,
            weights=np.where(is_new, weights, page.weights[before]) * _GRAFT_WEIGHT,
        )


class _Learner:
    """One kind of model, learned with any fold left out."""

    def __init__(self, pages: Sequence[_Page], *, voted: bool) -> None:
        pages = [*pages, *(page for page in _variants(pages) if page.blocks.texts), *_grafts(pages)]
        tables = [features(page.blocks, page.votes if voted else None) for page in pages]
        names = tables[0][1]
        rows = np.vstack([table for table, _ in tables])
        varied = np.mean(rows != np.median(rows[::50], axis=0), axis=0)
        least = np.array([_MIN_INNER_VARIED if name.startswith("inner ") else _MIN_VARIED for name in names])
        kept = varied > least
        self.columns = tuple(name for name, keeps in zip(names, kept.tolist(), strict=True) if keeps)
        self.rows = np.ascontiguousarray(rows[:, kept])
        self.labels = np.concatenate([page.labels for page in pages])
        self.weights = np.concatenate([page.weights for page in pages])
        sizes = [len(page.labels) for page in pages]
        self.fold = np.repeat([page.fold for page in pages], sizes)

    def model(self, without: int | None = None) -> BlockModel:
        """Return the model of all folds, or all but one."""
        used = (self.weights > 0) & (self.fold != (-1 if without is None else without))
        return BlockModel(self.columns, _fit(self.rows[used], self.labels[used], self.weights[used]), _THRESHOLD)


def _joined(alone: BlockModel, told: BlockModel) -> BlockModel:
    """Return the networks of both as one model, in which those of the first see nothing of the last columns."""
    more = len(told.columns) - len(alone.columns)
    assert told.columns[: len(alone.columns)] == alone.columns
    members = tuple(
        ((np.pad(weights, ((0, more), (0, 0))), bias), *others) for (weights, bias), *others in alone.net.layers
    )
    return replace(told, net=replace(told.net, layers=(*told.net.layers, *members)))


def _figures(pages: Sequence[_Page], models: Mapping[int, BlockModel], *, voted: bool) -> dict[str, list[float]]:
    """Return precision, recall and F1 of 4-grams by source, mean over pages of unseen sites."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for page in pages:
        if page.gold is None:
            continue
        model = models[page.fold]
        kept = np.flatnonzero(model.scores(page.blocks, page.votes if voted else None) >= model.threshold).tolist()
        own = _grams([token for i in kept for token in page.tokens[i]])
        common = sum((own & page.gold).values())
        shares = common / max(1, sum(own.values())), common / max(1, sum(page.gold.values()))
        for group in ("all", page.source):
            found[group].append(shares)
    figures = {}
    for group, rows in sorted(found.items()):
        precision, recall = np.mean(rows, axis=0).tolist()
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        figures[group] = [round(value, 4) for value in (precision, recall, f1)]
    return figures


def train_blocks(data: Path, out: Path, *, folds: Path | None = None) -> None:
    """Learn the models of blocks, and write `blocks.npz`, its entry in the manifest and its card.

    Args:
        data: the folder of labelled data, see its README.
        out: where the manifest stands or will stand.
        folds: where to keep the models that have not seen one fold of the sites, for measurements; None for nowhere.

    Raises:
        UsageError: `data` holds no labelled pages.
    """
    folder = data_folder(data, "clean")
    paths = [folder / f"html.{source}.jsonl.xz" for source in SOURCES]
    pages = list(_read(folder))
    models: dict[str, BlockModel] = {}
    scores = {}
    by_fold: dict[int, dict[str, BlockModel]] = {fold: {} for fold in range(FOLDS)}
    for name, voted in MODELS.items():
        learner = _Learner(pages, voted=voted)
        for fold, own in by_fold.items():
            own[name] = _joined(own["alone"], learner.model(fold)) if voted else learner.model(fold)
        unseen = {fold: own[name] for fold, own in by_fold.items()}
        scores[name] = _figures(pages, unseen, voted=voted)
        models[name] = _joined(models["alone"], learner.model()) if voted else learner.model()
    known = facts(paths, scores, {name: LICENCES[name] for name in SOURCES})
    save_model("blocks", *models_to_store(models), facts=known, folder=out)
    (out / "blocks.md").write_text(model_card(known), encoding="utf-8")
    for fold, own in by_fold.items() if folds else ():
        assert folds
        save_model(f"blocks-{fold}", *models_to_store(own), facts={}, folder=folds)


def model_card(known: Mapping[str, Any]) -> str:
    """Return the model card of the models of blocks, in Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in known["versions"].items())
    rows = [
        f"| {name} | {group} | " + " | ".join(f"{value:.3f}" for value in values) + " |"
        for name, groups in known["scores"].items()
        for group, values in groups.items()
    ]
    lines = [
        "# Models of blocks",
        "",
        "Say of each block of a page (what stands between two tags that break a line) how likely it belongs to the",
        "main text, from its tags, the names in `class` and `id`, links, shape, place and neighbours; the words of the",
        "text play no part, so it works in any language. `alone` goes by the page alone: three small networks,",
        "averaged. `voted` has three more, which are also told what trafilatura and resiliparse take.",
        "",
        "Each page is learned from three times: as it is; with its article cut short, its names gone, or both; and",
        "with a list of teasers or a thread of comments beside the article, made of paragraphs of other pages.",
        "",
        f"Blocks of {_THRESHOLD} and more are taken, and tables between them; the cleaner comes after it.",
        "Runs of four words, precision, recall and F1, mean over pages of sites the model has not seen (five folds by",
        "registered domain), before anything is cleaned:",
        "",
        "| model | pages | P | R | F1 |",
        "| --- | --- | ---: | ---: | ---: |",
        *rows,
        "",
        "## Data",
        "",
        *(f"- `{name}`: {licence}" for name, licence in known["licences"].items()),
        "",
        f"Digest of the files: `{known['data_sha256']}`. Made with {versions}.",
        "Not learned from: `waddle` (GPL-3.0).",
        "",
        "## Limits",
        "",
        "- Comments, teasers and captions count as boilerplate; forums, where comments are the text, are few.",
        "- Names are English words for the most part, and a few German ones; elsewhere it goes by shape and place.",
        "- Summaries and lists in articles are left out by some of the texts it learned from.",
    ]
    return "\n".join(lines) + "\n"
