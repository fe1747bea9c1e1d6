"""Nothing is lost: a run over mixed real and hostile input, whose workers and which itself are killed at random.

`python -m benchmarks.soak --mb 200 --kills 20` writes that much input in eight formats, every record of it entered in a
ledger; runs `textsieve run` on it, kills workers and the run (SIGKILL, SIGTERM, SIGINT) and gives the same command
again until it is through; and then checks from end to end that

* each input record is a document of the output, or dropped, or rejected, and that exactly once;
* nothing is there that was not in the input;
* kept and removed text of every document give its input back, and for records that were given as text this is, by
  SHA-256, what the ledger says.

Texts are those of `--data` (a folder of JSONL, by default ../shared/data) and of seeds/; hostile records are good ones
broken by `fuzz.mutation`, texts of odd Unicode, huge lines, and compressed files that are cut off or unpack to a
thousand times their size.

Text is slow work. `--pages-mb 2000` adds so much of whole pages from the labelled data, in archives, and a tenth of
them broken; with `--extractor resiliparse` they take several times less time than as much text.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import gzip
import hashlib
import io
import itertools
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import zstandard

from benchmarks.batches import archived, large_pages, packed_page
from filter.errors import InputError
from filter.restore import restore_text
from fuzz.mutation import broken

ROOT = Path(__file__).resolve().parent.parent
_FILE_BYTES = 4_000_000
_ARCHIVE_BYTES = 50_000_000
_HOSTILE_SHARE = 0.1
_ODD = [
    "\u202e",
    "\x85",
    "\u2028",
    "\ufeff",
    "e\u0301" * 50,
    "😀" * 30,
    "\U0010ffff",
    "ﷺ",
    "İ",
    "\r",
    "\t\v\f",
    "a" * 9000,
]
Place = tuple[str, int | None]


class Ledger:
    """Every input record by its place; a SHA-256 where the text is known, None where a page must be read first."""

    def __init__(self) -> None:
        self.records: dict[Place, bytes | None] = {}
        self.hostile = 0

    def enter(self, path: Path, line: int | None, text: str | None) -> None:
        place = (str(path), line)
        assert place not in self.records, place
        self.records[place] = None if text is None else hashlib.sha256(text.encode()).digest()


def real_texts(data: Path, source: random.Random) -> Iterator[str]:
    """Yield texts without end: those of the labelled data and of the seeds, in the order of chance."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "seeds").glob("*.txt"))]
    for path in sorted(data.rglob("*.jsonl")) if data.is_dir() else []:
        if "sealed" in path.parts:
            continue
        with path.open(encoding="utf-8") as file:
            for line in itertools.islice(file, 400):
                record = json.loads(line)
                text = record.get("text") if isinstance(record, dict) else None
                if isinstance(text, str) and 0 < len(text) < 200_000 and "\0" not in text:
                    texts.append(text)
    for number in itertools.count():
        text = source.choice(texts)
        if source.random() < _HOSTILE_SHARE / 2:
            at = source.randint(0, len(text))
            text = f"{text[:at]}{source.choice(_ODD)}{text[at:]}"
        # No two alike, so that one cannot stand for another.
        yield f"{text}\n{number}"


def page_of(text: str) -> bytes:
    """Return a page of HTML."""
    paragraphs = "".join(f"<p>{line}</p>" for line in text.split("\n") if line.strip())
    return f"<!DOCTYPE html><html><body><nav><a href='/'>Home</a></nav><main>{paragraphs}</main></body></html>".encode()


def write_inputs(folder: Path, size: int, texts: Iterator[str], source: random.Random, ledger: Ledger) -> int:
    """Write files of all formats until there are so many bytes, unpacked; return how many."""
    written = 0
    kinds = itertools.cycle(["jsonl", "jsonl.gz", "csv", "warc.gz", "jsonl.zst", "jsonl", "parquet", "folder"])
    for number in itertools.count():
        if written >= size:
            return written
        kind = next(kinds)
        path = folder / f"{number:05}.{kind}" if kind != "folder" else folder / f"{number:05}"
        share = min(_FILE_BYTES, size - written)
        if kind.startswith("jsonl"):
            written += _write_jsonl(path, share, texts, source, ledger)
        elif kind == "csv":
            written += _write_csv(path, share, texts, ledger)
        elif kind == "warc.gz":
            written += _write_warc(path, share, texts, ledger)
        elif kind == "parquet":
            written += _write_parquet(path, share, texts, ledger)
        else:
            written += _write_folder(path, share, texts, source, ledger)
    raise AssertionError


def write_pages(folder: Path, size: int, pages: list[str], source: random.Random, ledger: Ledger) -> int:
    """Write archives of pages, over and over, until there are so many bytes, unpacked; return how many."""
    good = [packed_page(page.encode()) for page in pages]
    written = 0
    for archive in itertools.count():
        path = folder / f"pages-{archive:03}.warc.gz"
        with path.open("wb") as file:
            for number in itertools.count(1):
                if written >= size:
                    return written
                if file.tell() > _ARCHIVE_BYTES:
                    break
                packed, length = source.choice(good)
                if source.random() < _HOSTILE_SHARE:
                    packed, length = packed_page(broken(source, [source.choice(pages).encode()]))
                    ledger.hostile += 1
                file.write(archived(f"{archive}:{number}", packed, length))
                ledger.enter(path, number, None)
                written += length
    raise AssertionError


def _write_jsonl(path: Path, size: int, texts: Iterator[str], source: random.Random, ledger: Ledger) -> int:
    out = io.BytesIO()
    for number in itertools.count(1):
        if out.tell() >= size:
            break
        text = next(texts)
        is_page = source.random() < 0.1
        record = (
            {"html": page_of(text).decode()} if is_page else {"text": text, "id": source.choice(["", f"r{number}"])}
        )
        line = json.dumps(record, ensure_ascii=source.random() < 0.5).encode()
        if source.random() < _HOSTILE_SHARE:
            # Whatever comes of it, it is one line; or none, which is no record.
            line = broken(source, [line]).replace(b"\n", b" ")
            ledger.hostile += 1
            if line.strip():
                ledger.enter(path, number, None)
        else:
            ledger.enter(path, number, None if is_page else text)
        out.write(line + b"\n")
    data = out.getvalue()
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(data, 1))
    else:
        path.write_bytes(zstandard.compress(data) if path.suffix == ".zst" else data)
    return len(data)


def _write_csv(path: Path, size: int, texts: Iterator[str], ledger: Ledger) -> int:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["id", "text"])
    line = 2
    while out.tell() < size:
        # In a cell, a lone CR is a line's end to some and none to others.
        text = next(texts).replace("\r", " ")
        writer.writerow(["", text])
        ledger.enter(path, line, text)
        line += 1 + text.count("\n")
    path.write_text(out.getvalue(), encoding="utf-8", newline="")
    return path.stat().st_size


def _write_warc(path: Path, size: int, texts: Iterator[str], ledger: Ledger) -> int:
    written = 0
    with path.open("wb") as file:
        for number in itertools.count(1):
            if written >= size:
                return written
            http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + page_of(next(texts))
            head = (
                "WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http; msgtype=response\r\n"
                f"WARC-Record-ID: <urn:x:{path.stem}:{number}>\r\nWARC-Target-URI: https://a.example/{number}\r\n"
                f"Content-Length: {len(http)}\r\n\r\n"
            )
            file.write(gzip.compress(head.encode() + http + b"\r\n\r\n", 1))
            ledger.enter(path, number, None)
            written += len(http)
    raise AssertionError


def _write_parquet(path: Path, size: int, texts: Iterator[str], ledger: Ledger) -> int:
    import pyarrow
    from pyarrow.parquet import write_table

    rows: list[str] = []
    written = 0
    while written < size:
        rows.append(next(texts))
        ledger.enter(path, len(rows), rows[-1])
        written += len(rows[-1].encode())
    write_table(pyarrow.table({"text": rows}), path, row_group_size=100)
    return written


def _write_folder(path: Path, size: int, texts: Iterator[str], source: random.Random, ledger: Ledger) -> int:
    path.mkdir()
    written = 0
    for number in itertools.count():
        if written >= min(size, 500_000):
            return written
        text = next(texts)
        kind = source.choice(["txt", "txt", "html", "gz", "cut", "bomb"] if number < 30 else ["txt", "html"])
        one = path / f"{number:04}.{'txt.gz' if kind in ('gz', 'cut', 'bomb') else kind}"
        data = page_of(text) if kind == "html" else text.encode()
        known: str | None = text if kind in ("txt", "gz") else None
        if kind == "bomb":  # unpacks to more than a text may be
            data = bytes(100_000_000)
        if kind in ("txt", "html") and source.random() < _HOSTILE_SHARE:
            data, known = broken(source, [data]), None
            ledger.hostile += 1
        packed = gzip.compress(data, 9 if kind == "bomb" else 1) if one.suffix == ".gz" else data
        one.write_bytes(packed[: len(packed) // 2] if kind == "cut" else packed)
        ledger.hostile += kind in ("cut", "bomb")
        ledger.enter(one, None, known)
        written += min(len(data), len(packed))
    raise AssertionError


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found


def run_with_kills(command: list[str], kills: int, every_s: float, source: random.Random) -> tuple[Counter[str], int]:
    """Give a command until it is through; return what was killed how often, and the last exit code."""
    done: Counter[str] = Counter()
    while True:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            while sum(done.values()) < kills:
                try:
                    process.wait(source.expovariate(1 / every_s))
                    break
                except subprocess.TimeoutExpired:
                    pass
                if source.random() < 0.7:
                    if workers := children_of(process.pid):
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(source.choice(workers), signal.SIGKILL)
                        done["a worker, SIGKILL"] += 1
                    continue
                sent = source.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
                process.send_signal(sent)
                done[f"the run, {sent.name}"] += 1
                break
            assert process.stderr
            said = process.stderr.read().decode()
            code = process.wait()
        if code in (0, 1):
            return done, code
        if code == 2:
            raise SystemExit(f"the run failed:\n{said}")


def check(out: Path, ledger: Ledger) -> Counter[str]:
    """Return what became of the records.

    Raises:
        SystemExit: something is lost, doubled, invented or altered.
    """
    outcomes: Counter[Place] = Counter()
    counts: Counter[str] = Counter()
    wrong: list[str] = []

    def judge(parts: list[dict]) -> None:
        place = (parts[0]["source"]["path"], parts[0]["source"]["line"])
        outcomes[place] += 1
        counts["kept" if any(part["verdict"]["keep"] for part in parts) else "dropped"] += 1
        try:
            text = restore_text(parts)
        except InputError as error:
            wrong.append(f"{place}: {error}")
            return
        counts["characters"] += len(text)
        counts["characters removed"] += sum(s["end"] - s["start"] for part in parts for s in part["removed"])
        digest = ledger.records.get(place)
        if digest is not None and digest != hashlib.sha256(text.encode()).digest():
            wrong.append(f"{place}: is not the text of the input")

    # A document's parts may be in both files, where one of them is dropped alone.
    split: dict[str, list[dict]] = {}
    for name in ("documents.jsonl", "dropped.jsonl"):
        with (out / name).open(encoding="utf-8") as file:
            for line in file:
                record = json.loads(line)
                if record["siblings"]:
                    split.setdefault(record["parent"], []).append(record)
                else:
                    judge([record])
    for parts in split.values():
        judge(parts)
    with (out / "rejected.jsonl").open(encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            place = (record["path"], record["line"])
            outcomes[place] += 1
            counts["rejected"] += 1
            counts["rejected because workers died"] += "workers died" in record["reason"]
            if ledger.records.get(place) is not None and "workers died" not in record["reason"]:
                wrong.append(f"{place}: a good record was rejected: {record['reason']}")
    wrong += [f"{place}: lost" for place in ledger.records if not outcomes[place]]
    wrong += [f"{place}: {count} times" for place, count in outcomes.items() if count > 1]
    wrong += [f"{place}: not in the input" for place in outcomes if place not in ledger.records]
    if wrong:
        raise SystemExit("\n".join(["NOT ALL IS WELL", *wrong[:30], f"{len(wrong):,} in all"]))
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--mb", type=float, default=50, help="input, unpacked")
    parser.add_argument("--pages-mb", type=float, default=0, help="more input: whole pages in archives, unpacked")
    parser.add_argument("--page-kb", type=float, default=0, help="pages of at least so many thousand characters")
    parser.add_argument("--extractor", default="trafilatura")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--every", type=float, default=5.0, metavar="S", help="mean time between kills")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--work", type=Path, help="folder for input and output (default: a temporary one)")
    options = parser.parse_args()
    # A job in the background is started with SIGINT ignored, and so would be the run.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    source, ledger = random.Random(options.seed), Ledger()
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        work = options.work or Path(temporary)
        inputs, out = work / "in", work / "out"
        shutil.rmtree(out, ignore_errors=True)
        inputs.mkdir(parents=True)
        size = write_inputs(inputs, int(options.mb * 1e6), real_texts(options.data, source), source, ledger)
        if options.pages_mb:
            pages = large_pages(options.data, options.page_kb)
            size += write_pages(inputs, int(options.pages_mb * 1e6), pages, source, ledger)
        print(
            f"input: {size / 1e6:,.1f} MB unpacked, {len(ledger.records):,} records, {ledger.hostile:,} of them broken",
            flush=True,
        )
        command = [sys.executable, "-m", "filter", "run", str(inputs), "-o", str(out), "--jobs", str(options.jobs)]
        command += ["--shard-mb", "2", "--extractor", options.extractor]
        start = time.monotonic()
        killed, code = run_with_kills(command, options.kills, options.every, source)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"run: exit {code}, {time.monotonic() - start:,.0f} s, {used.ru_utime + used.ru_stime:,.0f} s CPU")
        print(f"killed: {', '.join(f'{what} {count} x' for what, count in sorted(killed.items())) or 'nothing'}")
        counts = check(out, ledger)
    print("; ".join(f"{name} {count:,}" for name, count in counts.items()))
    print(f"peak of a process: {used.ru_maxrss / 1024:,.0f} MB; every record once, every text whole")


if __name__ == "__main__":
    main()
