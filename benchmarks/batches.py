"""What a run costs besides the analysis, what two workers gain, and whether memory stays flat.

    python -m benchmarks.batches [--data ../shared/data] [--mb 100] [--memory-mb 0] [--html-mb 0]

Writes JSONL of so many MB from the labelled data (the texts of benchmarks.throughput, over and over), runs
`textsieve run` over it with one worker and with two, compares the bytes that come out, and prints wall-clock and CPU
time of the command and of its workers, the highest memory of each, and the share of reading and writing.

Wall-clock time says little on a machine that does other work. The bound that CPU time gives is printed beside it: two
workers cannot take less than the command's own CPU time and half of the workers' together.

With --memory-mb and --html-mb, two workers go over so much text, or so many pages of the labelled data in gzipped WARC
files (read with --extractor resiliparse, several times as many MB/s as text), and the highest memory of a worker is
printed for each tenth of the time. The input is written to TMPDIR, and removed in the end.
"""

from __future__ import annotations

import argparse
import filecmp
import gzip
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks import ROOT, labelled, shared_dir
from benchmarks.throughput import corpus, pages

WARC_MB = 1000  # unpacked; a file of Common Crawl is of about this size when packed
PART_MB = 5  # enough for the share of reading and writing
TICKS = os.sysconf("SC_CLK_TCK")


def write_input(path, texts, size):
    with path.open("w", encoding="utf-8") as file:
        number = 0
        while file.tell() < size:
            text = texts[number % len(texts)]
            file.write(json.dumps({"id": f"document-{number}", "text": text}, ensure_ascii=False) + "\n")
            number += 1
    return number


def large_pages(data, kilochars):
    """Return the pages of the labelled data that have at least so many thousand characters."""
    return [page for page in pages(data, 1000) if len(page) >= kilochars * 1000]


def packed_page(page):
    """Return an answer of a server with a page of bytes, packed as a member of gzip, and its length unpacked."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + page
    return gzip.compress(answer + b"\r\n\r\n", 6, mtime=0), len(answer)


def archived(number, packed, length):
    """Return a record of WARC, packed: a member of gzip more, so that a page need be packed but once."""
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http; msgtype=response\r\n"
        f"WARC-Record-ID: <urn:x:{number}>\r\nWARC-Target-URI: https://a.example/{number}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    )
    return gzip.compress(head.encode(), 1, mtime=0) + packed


def write_archives(folder, pages, size):
    """Write pages over and over, as records with names of their own, until so many bytes are there, unpacked."""
    packed = [packed_page(page.encode()) for page in pages]
    folder.mkdir()
    number = written = 0
    while written < size:
        with (folder / f"{number:09}.warc.gz").open("wb") as file:
            end = min(size, written + WARC_MB * 1e6)
            while written < end:
                file.write(archived(number, *packed[number % len(packed)]))
                written += packed[number % len(packed)][1]
                number += 1
    return number


class Watch(threading.Thread):
    """Looks at a command and its workers every second: highest memory and CPU seconds of each."""

    def __init__(self, process_id):
        super().__init__(daemon=True)
        self.root = process_id
        self.seen = {}
        self.over_time = []

    def run(self):
        started = time.monotonic()
        while Path(f"/proc/{self.root}").exists():
            alive = {process_id: self.look(process_id) for process_id in [self.root, *self.children(self.root)]}
            self.seen.update({process_id: facts for process_id, facts in alive.items() if facts})
            alive.pop(self.root)
            if workers := [facts["rss"] for facts in alive.values() if facts]:
                self.over_time.append((time.monotonic() - started, max(workers)))
            time.sleep(1)

    def children(self, process_id):
        found = []
        for task in Path(f"/proc/{process_id}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                continue
        return found

    def look(self, process_id):
        try:
            fields = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()
            status = dict(
                line.split(":", 1)
                for line in Path(f"/proc/{process_id}/status").read_text().splitlines()
                if ":" in line
            )
        except OSError:
            return None
        if "VmHWM" not in status:
            return None
        cpu = (int(fields[11]) + int(fields[12])) / TICKS
        return {
            "peak": int(status["VmHWM"].split()[0]) / 1024,
            "rss": int(status["VmRSS"].split()[0]) / 1024,
            "cpu": cpu,
        }


def run(source, out, jobs, *options):
    command = [sys.executable, "-m", "filter", "run", str(source), "-o", str(out), "--jobs", str(jobs), *options]
    before = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    watch = Watch(process.pid)
    watch.start()
    said = process.communicate()[1]
    assert process.returncode in (0, 1), said  # 1: pages of the labelled data that hold no article are set aside
    wall = time.monotonic() - before
    own = watch.seen.pop(process.pid)
    workers = list(watch.seen.values())
    return {
        "wall": wall,
        "own": own["cpu"],
        "workers": sum(worker["cpu"] for worker in workers),
        "own_peak": own["peak"],
        "worker_peak": max(worker["peak"] for worker in workers),
        "over_time": watch.over_time,
    }


def reading_and_writing(source):
    """Return the CPU seconds of reading, of making and packing records, and of everything, in this process."""
    from filter import Config
    from filter.readers import Reader
    from filter.shards import Attempt, Shard, _Work, work_on
    from filter.workers import _load_models

    config = Config()
    _load_models(config)
    reader = Reader(config.max_text_chars)
    pieces = next(iter(reader.plan([source], 10**12)))
    before = time.process_time()
    for _ in reader.read_shard(pieces):
        pass
    reading = time.process_time() - before
    spent = 0.0

    def timed(function):
        def call(self, *arguments):
            nonlocal spent
            before = time.process_time()
            result = function(self, *arguments)
            spent += time.process_time() - before
            return result

        return call

    kept = _Work.add, _Work.flush
    _Work.add, _Work.flush = timed(_Work.add), timed(_Work.flush)
    with tempfile.TemporaryDirectory() as folder:
        before = time.process_time()
        work_on(
            Shard(0, pieces, reader, config, True, f"{folder}/0", f"{folder}/0.partial"), Attempt(), lambda beat: None
        )
        total = time.process_time() - before
    _Work.add, _Work.flush = kept
    return reading, spent, total


def compare(folder, texts, megabytes):
    """Print what one worker and two take for the same input."""
    source = folder / "in.jsonl"
    documents = write_input(source, texts, megabytes * 1e6)
    size = source.stat().st_size / 1e6
    print(f"{documents:,} documents, {size:.0f} MB; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    results = {jobs: run(source, folder / f"out{jobs}", jobs) for jobs in (1, 2)}
    names = ["documents.jsonl", "dropped.jsonl", "rejected.jsonl", "summary.json"]
    assert filecmp.cmpfiles(folder / "out1", folder / "out2", names, shallow=False)[0] == names, "bytes differ"
    for jobs, found in results.items():
        print(
            f"--jobs {jobs}: wall {found['wall']:.0f} s, CPU of the command {found['own']:.1f} s, "
            f"of the workers {found['workers']:.1f} s ({size / found['workers']:.2f} MB/s each); "
            f"highest memory {found['own_peak']:.0f} MiB and {found['worker_peak']:.0f} MiB a worker"
        )
    one, two = results[1], results[2]
    bound = (one["own"] + one["workers"]) / (two["own"] + two["workers"] / 2)
    clock = one["wall"] / two["wall"]
    print(f"two workers against one: {clock:.2f} by the clock, {bound:.2f} by CPU time; same bytes")
    command = one["own"] / (one["own"] + one["workers"])
    print(f"planning and joining: {command:.1%} of the CPU time of a run")


def memory(source, out, megabytes, documents, *options):
    """Print the memory of two workers over the time of one run."""
    found = run(source, out, 2, *options)
    (begin, _), (end, _) = found["over_time"][0], found["over_time"][-1]  # from the first worker's start
    tenths = [0.0] * 10
    for at, rss in found["over_time"]:
        tenth = min(9, int(10 * (at - begin) / (end - begin)))
        tenths[tenth] = max(tenths[tenth], rss)
    counts = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert counts["documents"] + counts["dropped"] + counts["rejected"] == documents, counts
    print(
        f"{megabytes:,.0f} MB, {documents:,} documents ({counts['rejected']:,} set aside), two workers: "
        f"wall {found['wall']:,.0f} s, CPU of the command {found['own']:.0f} s, of workers {found['workers']:,.0f} s "
        f"({megabytes / found['workers']:.2f} MB/s each)\n"
        f"highest memory of the command {found['own_peak']:.0f} MiB, of a worker {found['worker_peak']:.0f} MiB; "
        f"of a worker in each tenth of the time: {' '.join(f'{rss:.0f}' for rss in tenths)}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=labelled, default=str(shared_dir() / "data"))
    parser.add_argument("--mb", type=float, default=100, help="size of the input for the comparison; 0: none")
    parser.add_argument("--memory-mb", type=float, default=0, help="size of another input, for the memory of one run")
    parser.add_argument("--html-mb", type=float, default=0, help="size of pages, unpacked, for the same")
    parser.add_argument("--page-kb", type=float, default=0, help="take pages of at least so many thousand characters")
    arguments = parser.parse_args()
    texts = corpus(arguments.data, 2000)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        folder = Path(folder)
        source = folder / "in.jsonl"
        if arguments.mb:
            compare(folder, texts, arguments.mb)
            part = folder / "part.jsonl"
            write_input(part, texts, PART_MB * 1e6)
            reading, writing, total = reading_and_writing(part)
            print(
                f"of a worker's CPU time: reading {reading / total:.1%}, making and packing records "
                f"{writing / total:.1%}"
            )
        if arguments.memory_mb:
            documents = write_input(source, texts, arguments.memory_mb * 1e6)
            memory(source, folder / "out", arguments.memory_mb, documents)
        if arguments.html_mb:
            archives = folder / "archives"
            large = large_pages(arguments.data, arguments.page_kb)
            documents = write_archives(archives, large, arguments.html_mb * 1e6)
            memory(archives, folder / "html", arguments.html_mb, documents, "--extractor", "resiliparse")


if __name__ == "__main__":
    main()
