"""Throughput of the service against that of the library, on the same texts.

    python -m benchmarks.service [--data ../shared/data] [--clients 16] [--texts 1500] [--jobs 1] [--pairs 3]

Every client sends the texts that are next: one to a request (`document`), or as NDJSON, 50 to a request (`stream`). The
library analyses them in one child process of its own, as the service's children do, and makes the same records. Both
are timed by the clock, turn about, and the ratio is the median of the pairs: on a machine that does other things a
single pair says little. The service needs a core for each child and some of one more.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue

import httpx

from benchmarks import shared_dir
from benchmarks.throughput import texts
from filter import Config
from filter.child import Child
from filter.serve import answer_in_child

LINES_A_REQUEST = 50
LIBRARY_LINES = 250


def by_library(child: Child, lines: list[bytes]) -> float:
    """Return the seconds that the library takes."""
    began = time.perf_counter()
    for first in range(0, len(lines), LIBRARY_LINES):
        batch = [(line, number) for number, line in enumerate(lines[first : first + LIBRARY_LINES])]
        answers = child.call(answer_in_child, (batch, Config()), 600)
        assert all(answer.status == 200 for answer in answers)
    return time.perf_counter() - began


def by_service(url: str, lines: list[bytes], clients: int, way: str) -> float:
    """Return the seconds that the service takes."""
    size, path, kind = (
        (1, "/v1/document", "json") if way == "document" else (LINES_A_REQUEST, "/v1/documents", "x-ndjson")
    )
    bodies: SimpleQueue[bytes] = SimpleQueue()
    for first in range(0, len(lines), size):
        bodies.put(b"".join(lines[first : first + size]))
    failed: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=600, headers={"content-type": f"application/{kind}"}) as client:
            while True:
                try:
                    answer = client.post(path, content=bodies.get_nowait())
                except Empty:
                    return
                if answer.status_code != 200:
                    failed.append(answer.status_code)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=shared_dir() / "data")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--texts", type=int, default=1500)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    chosen = islice(texts(options.data), options.texts)
    lines = [json.dumps({"id": str(i), "text": text}).encode() + b"\n" for i, text in enumerate(chosen)]
    size = sum(map(len, lines)) / 1e6
    command = [sys.executable, "-m", "filter", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
        assert service.stderr
        url = service.stderr.readline().split()[-1]
        child = Child()
        by_library(child, lines[:50])
        by_service(url, lines[:50], 1, "document")
        print(f"{len(lines):,} texts, {size:.1f} MB, {options.clients} clients\n")
        print("| way | library, texts/s | service, texts/s | ratio |\n| --- | ---: | ---: | ---: |")
        for way in ("document", "stream"):
            pairs = [
                (by_library(child, lines), by_service(url, lines, options.clients, way)) for _ in range(options.pairs)
            ]
            library, served = (len(lines) / statistics.median(times) for times in zip(*pairs, strict=True))
            ratio = statistics.median(own / other for own, other in pairs)
            print(f"| {way} | {library:,.0f} | {served:,.0f} | {ratio:.2f} |", flush=True)
        child.end()
        service.terminate()


if __name__ == "__main__":
    main()
