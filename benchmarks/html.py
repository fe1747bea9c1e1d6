"""CPU time of HTML, end to end: both extractors with the clean stage on top, beside the peers, in one run.

python -m benchmarks.html [--data DIR] [--pages N] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from functools import partial
from pathlib import Path

from benchmarks import labelled, peers_clean, shared_dir
from filter import Config, Record
from filter.clean import clean
from filter.errors import InputError
from filter.pipeline import prepare

PEERS = (
    "trafilatura_default",
    "trafilatura_fast",
    "trafilatura_recall",
    "resiliparse_main",
    "readability",
    "justext_good",
)


def pages_of(folder: Path, limit: int) -> list[str]:
    """Return every n-th page of the labelled data, so that each source has its share."""
    from filter.training import read_jsonl

    pages = [row["html"] for path in sorted(folder.glob("html.*.jsonl.xz")) for row in read_jsonl(path)]
    return pages[:: max(1, len(pages) // limit)]


def cleaned(pages: list[str], config: Config) -> int:
    """Extract and clean as `process_many` does: pages one by one, texts in batches."""
    batch, chars, done = [], 0, 0
    for page in pages:
        try:
            batch.append(prepare(Record(html=page), config))
        except InputError:
            continue
        chars += len(batch[-1].text)
        if chars >= config.batch_chars:
            done += len(clean(batch, config))
            batch, chars = [], 0
    return done + len(clean(batch, config))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=labelled, default=str(shared_dir() / "data"))
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pages = pages_of(options.data / "clean", options.pages)
    runs = {
        f"textsieve, {name}": partial(cleaned, pages, Config(extractor=name)) for name in ("trafilatura", "resiliparse")
    }
    runs |= {name: partial(attempts, getattr(peers_clean, name), pages) for name in PEERS}
    for config in (Config(), Config(extractor="resiliparse")):
        cleaned(pages[:2], config)  # models are loaded before the clock starts
    figures = {}
    for name, run in runs.items():
        start = time.process_time()
        run()
        figures[name] = (time.process_time() - start) * 1000 / len(pages)
        print(f"{name:28} {figures[name]:8.1f} CPU s per 1,000 pages", flush=True)
    base = figures["trafilatura_default"]
    for name in list(runs)[:2]:
        print(f"{name}: {figures[name] / base:.2f} x the time of trafilatura_default")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def attempts(peer, pages: list[str]) -> None:
    for page in pages:
        with contextlib.suppress(Exception):  # what a peer cannot read costs it the page, not us the run
            peer(page)


if __name__ == "__main__":
    main()
