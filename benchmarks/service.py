"""Throughput of the service against that of the library, on the same documents.

    python -m benchmarks.service [--data ../shared/data] [--clients 16] [--texts 1000] [--pairs 5]

Every client sends the documents that are next: one to a request (`document`), or as NDJSON, 50 to a request (`stream`).
The library is `process_many` over the same texts in a process of its own; the service also reads and writes JSON and
makes the records. The two take turns. Counted are documents by the clock, and documents by the CPU seconds of the
service, all its processes, and of the library's process; those of the clients are not counted. Ratios are medians of
the pairs: on a machine that does other things a single pair says little, and least by the clock, for which the service
needs a core for its child and some of one more, as its clients do.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

from benchmarks import labelled, shared_dir
from benchmarks.throughput import corpus
from filter import process_many

WAYS = {"document": ("/v1/document", "application/json", 1), "stream": ("/v1/documents", "application/x-ndjson", 50)}


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and of its children, as Linux counts them."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = {child for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()}
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + sum(cpu_s(int(child)) for child in children)


def timed(pid: int, work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds by the clock, and the CPU seconds of a process and its children, that some work takes."""
    clock, cpu = time.perf_counter(), cpu_s(pid)
    work()
    return time.perf_counter() - clock, cpu_s(pid) - cpu


def count(texts: Sequence[str]) -> int:
    """Analyse texts; for a child, to which the texts cost more to send back than their number."""
    return sum(1 for _ in process_many(texts))


def ask(url: str, lines: Sequence[bytes], clients: int, way: str) -> None:
    """Have clients send documents until there are no more.

    Raises:
        RuntimeError: a request was not answered with 200.
    """
    path, kind, size = WAYS[way]
    bodies: SimpleQueue[bytes] = SimpleQueue()
    for first in range(0, len(lines), size):
        bodies.put(b"".join(lines[first : first + size]))
    failed: list[int] = []

    def client() -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)
        while True:
            try:
                body = bodies.get_nowait()
            except Empty:
                break
            connection.request("POST", path, body, {"content-type": kind})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                failed.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise RuntimeError(f"answered with {failed}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=labelled, default=str(shared_dir() / "data"))
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    texts = corpus(options.data, options.texts)
    lines = [json.dumps({"id": str(i), "text": text}).encode() + b"\n" for i, text in enumerate(texts)]
    size = sum(map(len, lines)) / 1e6
    command = [sys.executable, "-m", "filter", "serve", "--port", "0"]
    one = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    with one as library, subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
        try:
            assert service.stderr
            url = service.stderr.readline().split()[-1]
            pid = library.submit(os.getpid).result()
            # Once through, uncounted: the first time, both also fill their caches.
            library.submit(count, texts).result()
            ask(url, lines, options.clients, "stream")
            print(f"{len(lines):,} documents, {size:.1f} MB, {options.clients} clients, {options.pairs} pairs\n")
            print("| way | library / CPU s | service / CPU s | ratio | library / s | service / s | ratio |")
            print("| --- |" + " ---: |" * 6)
            for way in WAYS:
                pairs = [
                    (
                        timed(pid, lambda: library.submit(count, texts).result()),
                        timed(service.pid, lambda way=way: ask(url, lines, options.clients, way)),
                    )
                    for _ in range(options.pairs)
                ]
                print(f"| {way} | {' | '.join(cells(len(lines), pairs))} |", flush=True)
        finally:
            service.terminate()


def cells(documents: int, pairs: Sequence[tuple[tuple[float, float], tuple[float, float]]]) -> list[str]:
    """Return throughputs of library and service and their ratio, by CPU seconds and by the clock."""
    found = []
    for kind in (1, 0):
        library, served = ([documents / used[kind] for used in column] for column in zip(*pairs, strict=True))
        ratio = statistics.median(ours / theirs for ours, theirs in zip(served, library, strict=True))
        found += [f"{statistics.median(library):,.0f}", f"{statistics.median(served):,.0f}", f"{ratio:.2f}"]
    return found


if __name__ == "__main__":
    main()
