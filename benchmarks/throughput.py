"""Documents per second on one core, against what people run today; where our time goes; memory and start-up.

    python -m benchmarks.throughput [--data ../shared/data] [--limit N] [--datatrove PYTHON] [--dolma PYTHON]

Texts of about 4.5 KB are made from the labelled data (articles in many languages, extractor output with its
boilerplate, padded and mixed documents). Every tool reads the same JSONL file and writes JSONL; what counts is the CPU
time of its processes, its start-up (a run over the first few documents) taken off. HTML pages are measured against
trafilatura in the same way. Then our pipeline runs in this process, and each stage is timed.

The peers need environments of their own: `pip install "datatrove[io,processing]" spacy`, `pip install dolma`. Name
their Python with the options, or in TEXTSIEVE_DATATROVE and TEXTSIEVE_DOLMA; what is not named is left out with a word.
Without --limit, docs/performance.md and docs/performance.svg are written.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks import ROOT, labelled, shared_dir

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # one core means one core

TEXTS, PAGES = 5000, 300
WARM_UP = 5
"""Documents of the short run whose cost is start-up."""

TRAFILATURA = """
import json, sys
from trafilatura import extract
with open(sys.argv[1], encoding="utf-8") as lines, open(sys.argv[2], "w", encoding="utf-8") as out:
    for line in lines:
        row = json.loads(line)
        out.write(json.dumps({"id": row["id"], "text": extract(row["html"]) or ""}, ensure_ascii=False) + "\\n")
"""


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


def corpus(data, count):
    """Return different texts of 2.3 to 11 KB, 4.5 on average: what is longer is left out, short ones are joined."""
    pool = list(dict.fromkeys(text for text in texts(data) if 200 < len(text.encode()) < 9000))
    random.Random(0).shuffle(pool)
    chosen, short = [], ""
    for text in pool:
        text = f"{short}\n\n{text}" if short else text
        short = text if len(text.encode()) < 2300 else ""
        if not short:
            chosen.append(text)
    return chosen[:count]


def pages(data, count):
    """Return pages of HTML from every collection, in an order of chance."""
    pool = []
    for path in sorted((data / "clean").glob("html.*.jsonl.xz")):
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            pool += [json.loads(line)["html"] for line in lines]
    random.Random(0).shuffle(pool)
    return pool[:count]


def write(path, field, documents):
    with path.open("w", encoding="utf-8") as file:
        for number, document in enumerate(documents):
            file.write(json.dumps({"id": str(number), field: document}, ensure_ascii=False) + "\n")


STARTER = """
import json, resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print()
print(json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""

# --- whole programs ---------------------------------------------------------------------------------------------------


@dataclass
class Usage:
    """What a command and the processes it waited for used: CPU seconds, and the largest memory of one of them."""

    seconds: float
    mib: float


def used(command, folder):
    """Run a command and return what it used.

    Raises:
        RuntimeError: it failed; the last line that it said.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if command[0] == sys.executable:
        environment["PYTHONPATH"] = str(ROOT)
    # A process begins with the memory of the one that starts it, so a small one does.
    starter = [sys.executable, "-S", "-c", STARTER, *command]
    done = subprocess.run(starter, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    *said, numbers = done.stdout.strip().split("\n")
    code, seconds, kib = json.loads(numbers)
    if code:
        said = [line for text in ("\n".join(said), done.stderr) for line in text.splitlines() if line.strip()]
        raise RuntimeError(said[-1].strip() if said else "no message")
    return Usage(seconds, kib / 1024)


def tools(arguments):
    """Return, for texts and for pages, the tools as name and function from input file and output to a command."""

    def ours(*options):
        return lambda source, out: [sys.executable, "-m", "filter", "run", str(source), "-o", out, *options]

    for_texts = [("textsieve: clean, classify, split", ours())]
    if arguments.datatrove:
        script = str(ROOT / "benchmarks" / "peer_datatrove.py")
        for_texts.append(
            (
                "datatrove: Gopher repetition, Gopher quality, C4, FineWeb",
                lambda source, out: [arguments.datatrove, script, "chain", str(source), out],
            )
        )
    else:
        print("(datatrove left out: name its Python with --datatrove or TEXTSIEVE_DATATROVE)", file=sys.stderr)
    if arguments.dolma:
        for_texts.append(("dolma: c4_v2, gopher_v2", lambda source, out: dolma(arguments.dolma, source, out)))
    else:
        print("(dolma left out: name its Python with --dolma or TEXTSIEVE_DOLMA)", file=sys.stderr)
    for_pages = [
        ("textsieve: extract, clean, classify, split", ours()),
        ("textsieve, --extractor resiliparse", ours("--extractor", "resiliparse")),
        ("trafilatura: extract", lambda source, out: [sys.executable, "-c", TRAFILATURA, str(source), out]),
    ]
    return for_texts, for_pages


def dolma(python, source, out):
    """Return the command that tags the texts of a file, which dolma wants compressed and in a folder `documents`."""
    folder = Path(out) / "documents"
    folder.mkdir(parents=True)
    with source.open("rb") as lines, gzip.open(folder / "0.jsonl.gz", "wb", compresslevel=1) as packed:
        for line in lines:
            row = json.loads(line) | {"source": "benchmark", "added": "2024-01-01T00:00:00.000Z"}
            packed.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    program = str(Path(python).with_name("dolma"))
    options = ["--taggers", "c4_v2", "gopher_v2", "--experiment", "benchmark", "--processes", "1"]
    return [program, "tag", "--documents", str(folder / "*.gz"), *options]


@dataclass
class Row:
    """How fast a tool is: documents and MB a second without start-up, its start-up in seconds, its memory in MiB."""

    name: str
    docs: float
    mb: float
    start: float
    mib: float


def measured(field, documents, programs):
    """Return a row for each tool that runs through, the first of them ours."""
    size = sum(len(document.encode("utf-8", "replace")) for document in documents) / 1e6
    share = 1 - sum(len(d.encode("utf-8", "replace")) for d in documents[:WARM_UP]) / 1e6 / size
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        few, all_ = folder / "few.jsonl", folder / "all.jsonl"
        write(few, field, documents[:WARM_UP])
        write(all_, field, documents)
        for number, (name, command) in enumerate(programs):
            try:
                starts = [used(command(few, str(folder / f"few-{number}-{i}")), folder).seconds for i in range(3)]
                start = statistics.median(starts)
                whole = used(command(all_, str(folder / f"all-{number}")), folder)
            except (RuntimeError, OSError) as error:
                print(f"({name}: left out: {error})", file=sys.stderr)
                continue
            seconds = max(whole.seconds - start, 1e-9)
            row = Row(name, (len(documents) - WARM_UP) / seconds, size * share / seconds, start, whole.mib)
            rows.append(row)
            print(f"{name}: {row.docs:.1f} docs/s, {row.mb:.2f} MB/s, {row.mib:.0f} MiB", file=sys.stderr, flush=True)
    return rows


# --- our stages -------------------------------------------------------------------------------------------------------


def profile(sources):
    """Return milliseconds of CPU per document by stage, in this process, models loaded."""
    from filter import Config, parts, pipeline, process_many

    list(process_many(sources[:WARM_UP]))
    spent = {}

    def timed(function, name):
        def run(*arguments):
            before = time.process_time()
            try:
                return function(*arguments)
            finally:
                spent[name] = spent.get(name, 0.0) + time.process_time() - before

        return run

    prepare, stages, note_parts = pipeline.prepare, pipeline._stages, parts.note_parts
    try:
        # Extraction may be in a process of its own, where it is not seen; `measured` counts that too.
        pipeline.prepare = timed(prepare, "prepare")
        pipeline._stages = lambda: tuple(timed(stage, stage.__name__) for stage in stages())
        parts.note_parts = timed(note_parts, "note_parts")
        before = time.process_time()
        for _ in process_many(sources, Config()):
            pass
        total = time.process_time() - before
    finally:
        pipeline.prepare, pipeline._stages, parts.note_parts = prepare, stages, note_parts
    spent["everything else"] = total - sum(spent.values())
    return {name: 1e3 * seconds / len(sources) for name, seconds in spent.items()}


def startup(*command):
    return statistics.median(used([sys.executable, *command], ROOT).seconds for _ in range(5))


# --- the report -------------------------------------------------------------------------------------------------------


def table(rows, count, size, what, against):
    """Return a table in Markdown; `against` begins the name of the tool that the others are compared with."""
    base = next((row.docs for row in rows if row.name.startswith(against)), None)
    lines = [
        f"{count:,} {what}, {size / count / 1e3:.1f} KB on average.",
        "",
        f"| {what} | docs/s | MB/s | × {against} | start-up, s | memory, MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        ratio = f"{row.docs / base:.1f}" if base else "–"
        lines.append(f"| {row.name} | {row.docs:.0f} | {row.mb:.2f} | {ratio} | {row.start:.1f} | {row.mib:.0f} |")
    return "\n".join(lines)


def stage_table(stages, size, count):
    total = sum(stages.values())
    lines = ["| stage | ms/document | share | MB/s |", "| --- | ---: | ---: | ---: |"]
    for name, ms in [*stages.items(), ("all", total)]:
        rate = size / count / 1e3 / max(ms, 1e-6)
        lines.append(f"| {name.replace('_', ' ')} | {ms:.2f} | {ms / total:.0%} | {rate:.2f} |")
    return "\n".join(lines)


def plot(groups):
    """Return bars of documents per second as SVG; a group is a heading and its rows, each with a scale of its own."""
    label, wide, step, y = 400, 300, 26, 0
    parts = []
    for heading, rows in groups:
        y += 34
        parts.append(f'<text x="10" y="{y}" class="head">{escape(heading)}</text>')
        most = max(row.docs for row in rows)
        for row in rows:
            y += step
            bar = max(1.0, wide * row.docs / most)
            kind = "ours" if row.name.startswith("textsieve") else "peer"
            parts += [
                f'<text x="{label - 8}" y="{y}" text-anchor="end">{escape(row.name)}</text>',
                f'<rect x="{label}" y="{y - 13}" width="{bar:.1f}" height="17" rx="2" class="{kind}"/>',
                f'<text x="{label + bar + 6:.1f}" y="{y}">{row.docs:.0f}</text>',
            ]
    width, height = label + wide + 60, y + 20
    style = (
        "text{font:13px sans-serif;fill:#222}.head{font-weight:bold}.ours{fill:#1b6ca8}.peer{fill:#b5b5b5}"
        "rect.page{fill:#fff}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="Documents per second"><style>{style}</style>'
        f'<rect class="page" width="{width}" height="{height}"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


PAGE = """# Performance

One core, documents per second of CPU time, start-up taken off; the same JSONL file for all, JSONL out. Made by

```
python -m benchmarks.throughput --data ../shared/data --datatrove PYTHON --dolma PYTHON
```

Absolute figures are those of one machine ({machine}, Python {python}), and vary by a fifth from run to run where other
work shares it: compare rows of one run. The peers judge whole documents of English by surface numbers and drop
them; textsieve finds spans, names their language and says why, and drops nothing.

![Documents per second](performance.svg)

## Texts

Articles in many languages, output of extractors with its boilerplate, padded and mixed-language documents.
datatrove's filters stand in a chain, so that what one drops the next does not see; what it says of a text in another
language than English means little, but takes its time. dolma only tags.

{texts}

## Where the time goes

In one process, models loaded, nothing read or written; CPU time.

{text_stages}

## HTML pages

Pages of six collections. trafilatura only extracts; it is what textsieve uses first unless told otherwise.

{pages}

{page_stages}

trafilatura is asked for less here than by itself (no comments, one tree for all), which is why reading a page twice
more costs so little. With resiliparse, half of the time goes into reading the page's tree in Python and judging its
blocks, a third into the text.

## What holds it back

The time is spread thin: no function of ours takes more than a fiftieth of it. Most passes in NumPy, RE2 and the regular
expressions of Python, over arrays that stages do not share. Compiling the modules with mypyc made no difference that
could be measured; switching off the garbage collector and keeping freed memory made none either. Ten times datatrove's
speed would take stages written in a compiled language.

## Start-up

`textsieve --help` takes {help:.2f} s of CPU time, the first document {first:.1f} s.

How time and memory grow with the length of a document and with their number is measured by
`python -m benchmarks.growth`, which writes what follows.
"""
GROWTH = "\n## Growth\n"
"""Begins the last section of the page; benchmarks.growth writes it."""
REPORT = ROOT / "docs" / "performance.md"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=labelled, default=str(shared_dir() / "data"))
    parser.add_argument("--limit", type=int, help="texts, and a tenth as many pages (50 at least), for a quick look")
    parser.add_argument("--datatrove", default=os.environ.get("TEXTSIEVE_DATATROVE"), metavar="PYTHON")
    parser.add_argument("--dolma", default=os.environ.get("TEXTSIEVE_DOLMA"), metavar="PYTHON")
    parser.add_argument("--profile-only", action="store_true", help="only our stages over texts")
    arguments = parser.parse_args()
    sources = corpus(arguments.data, arguments.limit or TEXTS)
    size = sum(len(text.encode()) for text in sources)
    if arguments.profile_only:
        print(stage_table(profile(sources), size, len(sources)))
        return
    html = pages(arguments.data, max(50, arguments.limit // 10) if arguments.limit else PAGES)
    html_size = sum(len(page.encode("utf-8", "replace")) for page in html)
    for_texts, for_pages = tools(arguments)
    text_rows, page_rows = measured("text", sources, for_texts), measured("html", html, for_pages)
    page = PAGE.format(
        machine=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        texts=table(text_rows, len(sources), size, "texts", "datatrove"),
        text_stages=stage_table(profile(sources), size, len(sources)),
        pages=table(page_rows, len(html), html_size, "pages", "trafilatura"),
        page_stages=stage_table(profile_pages(html), html_size, len(html)),
        help=startup("-m", "filter", "--help"),
        first=startup("-c", "from filter import process; process('One line of text.')"),
    )
    print(page[page.index("## Texts") :])
    if not arguments.limit:
        before = REPORT.read_text(encoding="utf-8") if REPORT.exists() else ""
        REPORT.write_text(page + "".join(before.partition(GROWTH)[1:]), encoding="utf-8")
        groups = [("Texts, documents per second", text_rows), ("HTML pages, documents per second", page_rows)]
        (ROOT / "docs" / "performance.svg").write_text(plot(groups), encoding="utf-8")


def profile_pages(html):
    from filter import Record

    return profile([Record(html=page) for page in html])


if __name__ == "__main__":
    main()
