"""Pages of HTML through extractor and cleaner, as the scoring script of the labelled data calls it.

As in `adapters_clean`, no model judges a site it has seen; the block models that lack one fold are kept under build/cv.
All of them are made and loaded when this module is imported: the script's clock starts later, and times the pages.

Environment: TEXTSIEVE_DATA, TEXTSIEVE_PRESET, and TEXTSIEVE_EXTRACTOR (default trafilatura).
"""

from __future__ import annotations

import os
from dataclasses import replace

from benchmarks import ROOT, adapters_clean, shared_dir
from filter.blocks import BlockModel, models_from_store
from filter.blocks import using as using_blocks
from filter.clean import clean
from filter.document import Record
from filter.extract import extract
from filter.lines import using
from filter.segment import segment
from filter.store import load_model
from filter.training import FOLDS, data_folder, digest
from filter.training_blocks import train_blocks

FOLD_BLOCKS = ROOT / "build" / "cv" / "blocks"
CONFIG = replace(
    adapters_clean.CONFIG,
    extractor=os.environ.get("TEXTSIEVE_EXTRACTOR", "trafilatura"),
    page_timeout_s=None,  # the child that keeps the limit would use the shipped models
)


def html(page: str) -> str:
    """Return the main text of a page after the whole clean stage."""
    fold = _FOLDS[adapters_clean.key(page)]
    with using_blocks(_BLOCKS[fold]), using(_LINES[fold]):
        document = clean([segment(extract(Record(html=page), CONFIG))], CONFIG)[0]
    return "".join(document.text[span.start : span.end] for span in document.spans if span.label == "content")


def extracted(page: str) -> str:
    """Return the text the package extracts from a page, before anything is cleaned."""
    with using_blocks(_BLOCKS[_FOLDS[adapters_clean.key(page)]]):
        return extract(Record(html=page), CONFIG).text


def _block_models() -> list[dict[str, BlockModel]]:
    code = [ROOT / "filter" / name for name in ("blocks.py", "extract.py", "training_blocks.py")]
    stamp = digest([*code, *data_folder(shared_dir(), "clean").glob("html.*")])
    adapters_clean.make(FOLD_BLOCKS, stamp, train_blocks)
    return [models_from_store(load_model(f"blocks-{fold}", FOLD_BLOCKS)) for fold in range(FOLDS)]


_FOLDS, _LINES, _BLOCKS = adapters_clean.folds("html"), adapters_clean.models(), _block_models()
