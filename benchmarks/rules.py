"""Speed of rules and structure, alone and as a share of the whole pipeline's time, one core.

    python -m benchmarks.rules [--data ../shared/data] [--documents 600] [--rounds 5]

The texts are those of benchmarks.throughput. CPU time; the best of some rounds, as other work on the machine only ever
adds to it. The first round is shown apart: RE2 builds its states as it meets new text.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from benchmarks import labelled, shared_dir
from benchmarks.throughput import corpus


def seconds(work: Callable[[], Any]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=labelled, default=str(shared_dir() / "data"))
    parser.add_argument("--documents", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    from filter import Config, Document, process_many
    from filter.batches import batches
    from filter.clean import mark
    from filter.folding import fold_lines
    from filter.rules import load_packs
    from filter.segment import segment

    config = Config()
    sources = corpus(arguments.data, arguments.documents)
    size = sum(len(text.encode()) for text in sources) / 1e6
    documents = [segment(Document(text)) for text in sources]
    lines = [text.strip() for document in documents for text in document.text.splitlines()]
    rules = load_packs(())
    groups = list(batches(documents, lambda document: len(document.text), config.batch_chars))
    print(f"{len(sources)} texts, {len(lines):,} lines, {size:.1f} MB; {len(rules.rules)} rules")

    def marked() -> None:
        for group in groups:
            mark(group, config)

    first = seconds(marked)
    layers = min(seconds(marked) for _ in range(arguments.rounds))
    folding = min(seconds(lambda: fold_lines(lines)) for _ in range(arguments.rounds))
    matching = min(seconds(lambda: rules.match(lines)) for _ in range(arguments.rounds)) - folding
    list(process_many(sources[:5], config))
    whole = seconds(lambda: list(process_many(sources, config)))
    rows = [("folding", folding), ("matching", matching), ("structure", layers - folding - matching)]
    for name, spent in [("rules and structure", layers), ("the first time", first), *rows, ("whole pipeline", whole)]:
        print(f"  {name:<20} {size / spent:7.2f} MB/s  {spent / whole:6.1%} of the pipeline's time")


if __name__ == "__main__":
    main()
