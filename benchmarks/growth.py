"""How time and memory grow with the length of a document and with their number: they should not grow faster.

    python -m benchmarks.growth [--data ../shared/data] [--quick]

Documents are made of the texts of benchmarks.throughput, one after the other; each size is a run of the command in a
process of its own (`--jobs 0`), whose CPU time and largest memory are taken. `growth` is the exponent between two sizes
that follow each other, start-up taken off: 1 means twice the time for twice the input. The tables become the last
section of docs/performance.md. With --quick, the largest sizes are left out and nothing is written.
"""

import argparse
import json
import math
import sys
import tempfile
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from benchmarks import labelled, shared_dir
from benchmarks.throughput import GROWTH, REPORT, corpus, used

CHARS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
COUNTS = (1_000, 10_000, 100_000)
SHORT_CHARS = 300
LINES = (33_000, 330_000)
"""Lines of three characters: nothing but line breaks, nearly."""

INTRODUCTION = """CPU time and largest memory of whole runs of the command, one process each. `growth` is the exponent
from one size to the next, start-up taken off: 1 means twice the time for twice the input."""


@dataclass
class Row:
    what: str
    size: float  # what the time is compared with
    seconds: float
    mib: float


def cut(texts, size, count):
    """Yield documents of a size in characters, from one text after the other."""
    stream = cycle(texts)
    left = ""
    for _ in range(count):
        while len(left) < size:
            left += f"{next(stream)}\n\n" if size < 100_000 else "".join(f"{next(stream)}\n\n" for _ in range(100))
        yield left[:size]
        left = left[size:]


def row(what, size, documents):
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "documents.jsonl"
        with source.open("w", encoding="utf-8") as file:
            for number, text in enumerate(documents):
                file.write(json.dumps({"id": str(number), "text": text}) + "\n")
        out = str(Path(folder) / "out")
        usage = used([sys.executable, "-m", "filter", "run", str(source), "-o", out, "--jobs", "0"], folder)
    print(f"{what}: {usage.seconds:.1f} s, {usage.mib:.0f} MiB", file=sys.stderr, flush=True)
    return Row(what, size, usage.seconds, usage.mib)


def table(rows, start):
    """Return rows as Markdown, with the exponent from each to the next."""
    lines = ["| input | CPU s | without start-up | growth | memory, MiB |", "| --- | ---: | ---: | ---: | ---: |"]
    before = None
    for each in rows:
        own = each.seconds - start
        growth = "–"
        # Less than start-up varies by is no measurement.
        if before and before.seconds - start > 0.2:
            growth = f"{math.log(own / (before.seconds - start)) / math.log(each.size / before.size):.2f}"
        lines.append(f"| {each.what} | {each.seconds:.1f} | {max(own, 0):.1f} | {growth} | {each.mib:.0f} |")
        before = each
    return "\n".join(lines)


def section(data, *, quick=False):
    """Return the tables of all three kinds of growth, as Markdown."""
    texts = corpus(data, 5000)
    chars, counts, lines = (sizes[:-1] if quick else sizes for sizes in (CHARS, COUNTS, LINES))
    start = min(row("start-up", 1, ["One line."]).seconds for _ in range(3))
    kinds = (
        [row(f"one document of {size:,} characters", size, cut(texts, size, 1)) for size in chars],
        [row(f"{count:,} documents of {SHORT_CHARS}", count, cut(texts, SHORT_CHARS, count)) for count in counts],
        [row(f"one document of {count:,} lines “a b”", count, ["a b\n" * count]) for count in lines],
    )
    return "\n\n".join(table(rows, start) for rows in kinds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=labelled, default=str(shared_dir() / "data"))
    parser.add_argument("--quick", action="store_true", help="without the largest sizes")
    arguments = parser.parse_args()
    tables = section(arguments.data, quick=arguments.quick)
    print(tables)
    if not arguments.quick:
        before = REPORT.read_text(encoding="utf-8") if REPORT.exists() else "# Performance\n"
        REPORT.write_text(f"{before.partition(GROWTH)[0]}{GROWTH}\n{INTRODUCTION}\n\n{tables}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
