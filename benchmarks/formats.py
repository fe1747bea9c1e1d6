"""What reading and writing each format costs, in CPU time beside that of the analysis of the same documents.

    python -m benchmarks.formats [--documents N]

The documents are the lines of the five seeds in other orders, so that every one differs. Needs pyarrow.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import ROOT

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"


def _texts(count: int) -> list[str]:
    seeds = [
        path.read_text(encoding="utf-8").splitlines(keepends=True) for path in sorted((ROOT / "seeds").glob("*.txt"))
    ]
    rng = random.Random(0)
    return ["".join(rng.sample(lines, len(lines))) for _ in range(count // len(seeds)) for lines in seeds]


def _warc_record(number: int, text: str) -> bytes:
    block = text.encode()
    head = f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Record-ID: <urn:x:{number}>\r\nContent-Type: text/plain\r\n"
    return f"{head}Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"


def _inputs(texts: list[str], folder: Path) -> list[Path]:
    import pyarrow
    from pyarrow.parquet import write_table

    lines = b"".join(json.dumps({"id": str(n), "text": text}).encode() + b"\n" for n, text in enumerate(texts))
    (folder / "a.jsonl").write_bytes(lines)
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(lines))
    with (folder / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "text"], *([str(n), text] for n, text in enumerate(texts))])
    write_table(pyarrow.table({"id": [str(n) for n in range(len(texts))], "text": texts}), folder / "a.parquet")
    records = [_warc_record(n, text) for n, text in enumerate(texts)]
    (folder / "a.warc").write_bytes(b"".join(records))
    (folder / "a.warc.gz").write_bytes(b"".join(map(gzip.compress, records)))
    return [folder / f"a{ending}" for ending in (".jsonl", ".jsonl.gz", ".csv", ".parquet", ".warc", ".warc.gz")]


def _cpu_s(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the seconds of the quickest of some runs: other work on the machine only ever makes one slower."""
    took = []
    for _ in range(repeats):
        before = time.process_time()
        work()
        took.append(time.process_time() - before)
    return min(took)


def main() -> None:
    # Only now: NumPy reads the variables above when it is loaded.
    from filter import Config
    from filter.batch import run
    from filter.exports import ENDINGS, export_file
    from filter.readers import Item, Reader
    from filter.restore import restore
    from filter.writers import FolderWriter

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=1000)
    texts = _texts(parser.parse_args().documents)
    size = sum(len(text.encode()) for text in texts) / 1e6
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = _inputs(texts, folder)
        reader = Reader(Config().max_text_chars)

        def analyse() -> None:
            with FolderWriter(folder / "out", Config(), force=True) as writer:
                run(reader.read([folder / "a.jsonl"]), writer, Config())

        analyse()  # loads the models
        whole = _cpu_s(analyse, 1)
        print(f"{len(texts):,} documents, {size:.1f} MB of text; the whole run {size / whole:.2f} MB/s of CPU time\n")
        print("| | MB/s | share of the run's CPU time |\n| --- | ---: | ---: |")

        def row(what: str, seconds: float) -> None:
            print(f"| {what} | {size / seconds:,.0f} | {100 * seconds / whole:.1f} % |")

        for path in paths:
            assert sum(isinstance(item, Item) for item in reader.read([path])) == len(texts)
            row(f"read {path.name.removeprefix('a')}", _cpu_s(lambda path=path: sum(1 for _ in reader.read([path]))))
        row("plan .jsonl", _cpu_s(lambda: list(reader.plan([folder / "a.jsonl"], 1_000_000))))
        row("plan .warc.gz", _cpu_s(lambda: list(reader.plan([folder / "a.warc.gz"], 100_000))))
        source = folder / "out" / "documents.jsonl"
        for to, ending in ENDINGS.items():
            row(f"write {ending}", _cpu_s(lambda to=to, ending=ending: export_file(source, folder / f"x{ending}", to)))
        row("restore", _cpu_s(lambda: list(restore(folder / "out", folder / f"back{time.time_ns()}"))))


if __name__ == "__main__":
    main()
