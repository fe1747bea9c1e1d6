"""Documents per second of the whole text pipeline, one core, and where the time goes.

    python -m benchmarks.throughput [--data ../shared/data] [--documents 2000]

Builds texts of about 4.5 KB from the labelled data (articles in many languages, extractor output with its boilerplate,
padded and mixed documents), runs `process_many` over them in this process and prints CPU time by stage. Start-up is
measured apart, in fresh processes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import ROOT, shared_dir

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # one core means one core


def texts(data):
    """Yield texts of every kind the labelled data holds, as they stand."""
    with (data / "lang" / "dev.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"]
    for name in ("dev.jsonl.gz", "dev_human.jsonl.gz"):
        with gzip.open(data / "classify" / name, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)["text"]
    for path in sorted((data / "clean").glob("lines.*.jsonl.xz")):
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                page = json.loads(line)
                if page["view"] != "full":
                    yield "\n".join(row["text"] for row in page["lines"])


def corpus(data, documents):
    """Return texts of 3 to 12 KB, 4.5 on average: what is longer is left out, short ones are joined."""
    pool = [text for text in texts(data) if 200 < len(text.encode()) < 9000]
    rng = random.Random(0)
    rng.shuffle(pool)
    chosen, short = [], ""
    for text in pool:
        text = f"{short}\n\n{text}" if short else text
        if len(text.encode()) < 3000:
            short = text
            continue
        short = ""
        chosen.append(text)
        if len(chosen) == documents:
            break
    return chosen


def startup(*command):
    times = []
    for _ in range(5):
        before = time.perf_counter()
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - before)
    return sorted(times)[len(times) // 2]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=shared_dir() / "data")
    parser.add_argument("--documents", type=int, default=2000)
    arguments = parser.parse_args()
    from filter import Config, pipeline, process_many

    sources = corpus(arguments.data, arguments.documents)
    size = sum(len(text.encode()) for text in sources)
    print(f"{len(sources)} texts, {size / 1e6:.1f} MB, {size / len(sources) / 1e3:.1f} KB on average")
    list(process_many(sources[:5]))  # models load once per process; that is start-up, not throughput
    spent = {}

    def timed(stage):
        def run(documents, config):
            before = time.process_time()
            result = stage(documents, config)
            spent[stage.__name__] = spent.get(stage.__name__, 0.0) + time.process_time() - before
            return result

        return run

    stages = pipeline._stages()
    pipeline._stages = lambda: tuple(map(timed, stages))
    before = time.process_time()
    spans = sum(len(document.spans) for document in process_many(sources, Config()))
    total = time.process_time() - before
    print(f"{len(sources) / total:.0f} docs/s, {size / 1e6 / total:.2f} MB/s, CPU, one core; {spans} spans")
    for name, seconds in [*spent.items(), ("everything else", total - sum(spent.values()))]:
        print(
            f"  {name:<20} {1e3 * seconds / len(sources):7.3f} ms/document  {size / 1e6 / max(seconds, 1e-9):8.2f} MB/s"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    print(f"textsieve --help {startup('-m', 'filter', '--help'):.2f} s")
    first = "from filter import process; process('One line of text.')"
    print(f"first document {startup('-c', first):.2f} s")


if __name__ == "__main__":
    main()
