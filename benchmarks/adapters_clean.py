"""The cleaner in the shape the scoring script of the labelled data calls; no model judges a site it has seen.

`lines_cv`: the learned line model alone. `clean_cv`: rules, structure and model. Pages of HTML: `adapters_html`.
A text is looked up by its hash; its site's fold decides which model judges it. The models that lack one fold are kept
under build/cv and made anew when the labelled data, the rules or the code that learns from them has changed.

Environment: TEXTSIEVE_DATA is the folder of labelled data, TEXTSIEVE_PRESET the preset (default balanced).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from benchmarks import ROOT, shared_dir
from filter.clean import clean
from filter.config import Config
from filter.document import Document
from filter.lines import LineModel, line_scores, threshold, using
from filter.segment import segment
from filter.store import load_model

FOLD_MODELS = ROOT / "build" / "cv" / "lines"
CONFIG = Config(preset=os.environ.get("TEXTSIEVE_PRESET", "balanced"))


def lines_cv(text: str) -> list[tuple[int, int]]:
    """Return the stretches that the line model alone leaves in place."""
    lines = text.split("\n")
    with using(_model(text)):
        scores = line_scores([lines], [np.zeros(len(lines), dtype=bool)])[0]
        keep = scores < threshold(CONFIG.preset)
    ends = np.cumsum([len(line) + 1 for line in lines]) - 1
    return [(end - len(line), end) for line, end, kept in zip(lines, ends.tolist(), keep, strict=True) if kept]


def clean_cv(text: str) -> list[tuple[int, int]]:
    """Return the stretches that the whole clean stage leaves in place."""
    with using(_model(text)):
        document = clean([segment(Document(text))], CONFIG)[0]
    return [(span.start, span.end) for span in document.spans if span.label in ("content", "ai_padding")]


def key(text: str) -> bytes:
    return hashlib.sha1(text.encode("utf-8", "surrogatepass")).digest()


@lru_cache(maxsize=2)
def folds(kind: str) -> dict[bytes, int]:
    """Return the fold of the site of each labelled text, `lines` or `html`, by the text's hash."""
    from filter.training import data_folder, fold_of, read_jsonl

    folder = data_folder(shared_dir(), "clean")
    found = {}
    for path in sorted(folder.glob(f"{kind}.*.jsonl.xz")):
        for page in read_jsonl(path):
            text = page["html"] if "html" in page else "\n".join(line["text"] for line in page["lines"])
            found[key(text)] = fold_of(page["domain"])
    return found


def _model(text: str) -> LineModel:
    fold = folds("lines").get(key(text))
    if fold is None:
        raise KeyError("the text is not in the labelled data, so it is unknown which model has not seen its site")
    return models()[fold]


@lru_cache(maxsize=1)
def models() -> list[LineModel]:
    from filter.training import FOLDS, data_folder, digest, train_lines

    # The networks see what rules find: whatever decides that has a say in what they learn.
    names = ("clean.py", "features.py", "folding.py", "lines.py", "rules.py", "segment.py", "training.py")
    code = [*(ROOT / "filter" / name for name in names), *(ROOT / "filter" / "packs").glob("*.toml")]
    make(FOLD_MODELS, digest([*code, *data_folder(shared_dir(), "clean").glob("lines.*")]), train_lines)
    return [LineModel.from_store(load_model(f"lines-{fold}", FOLD_MODELS)) for fold in range(FOLDS)]


def make(folder: Path, stamp: str, train: Callable[..., None]) -> None:
    """Make the models of a folder anew where they were made from something else."""
    mark = folder / "stamp"
    if not mark.is_file() or (mark.read_text() != stamp and "TEXTSIEVE_STALE" not in os.environ):
        train(shared_dir(), folder, folds=folder)
        mark.write_text(stamp)


models()  # before anything is timed: learning them takes minutes
