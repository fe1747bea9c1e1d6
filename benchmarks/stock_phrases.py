"""What the stock phrases of filler find by themselves, and what genuine text they take for it.

    python -m benchmarks.stock_phrases [--data ../shared/data] [--show] [--json FILE]

Genuine are the human sections of the classifier's data, the documents of one language of the splitter's, and the lines
of web pages that belong to the article; each is read in the language its data name, with nothing else decided about it.
Filler are the machine-written sections of the classifier's data (a section is found when half of it is flagged, with
its document around it) and tests/cases/filler.jsonl: short fillers written for this project, the first sixty before any
of them had been tried, the second set after the families had been widened once. What was found in each when it was
first tried is in tests/cases/filler.md. Languages without a pack count among the genuine texts and can have no flag.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import ROOT, labelled, shared_dir
from filter.batches import batches
from filter.padding import Found
from filter.rules import load_packs
from filter.sections import BATCH_CHARS
from filter.training import read_jsonl

CASES = ROOT / "tests" / "cases" / "filler.jsonl"
MONO = ("mono", "mono_wide", "mono_udhr", "block", "alternate")


class Text(NamedTuple):
    """A genuine text: where it is from, its language and its lines."""

    source: str
    lang: str
    lines: list[str]


def genuine(data: Path) -> Iterator[Text]:
    for name in ("dev_human", "dev"):
        seen: set[str] = set()
        for row in read_jsonl(data / "classify" / f"{name}.jsonl.gz"):
            for span in row["spans"]:
                text = row["text"][span["start"] : span["end"]]
                if span["label"] == "human" and text not in seen:
                    seen.add(text)
                    yield Text(f"classify/{name} {row['source']}", row["lang"], text.split("\n"))
    for row in read_jsonl(data / "lang" / "dev.jsonl"):
        if row["kind"] in MONO:
            for lang in sorted({span["lang"] for span in row["spans"]}):
                own = [row["text"][span["start"] : span["end"]] for span in row["spans"] if span["lang"] == lang]
                yield Text(f"lang {row['kind']}", lang, "\n".join(own).split("\n"))
    for path in sorted((data / "clean").glob("lines.*.jsonl.xz")):
        for row in read_jsonl(path):
            if row["view"] == "trec":
                lines = [line["text"] for line in row["lines"] if not line["label"] and not line.get("ignore")]
                lang = (row["lang"] or "en").split("-")[0]
                yield Text(f"clean {row['source']}", lang, lines)


def sections(lang: str, lines: Sequence[str]) -> list[Found]:
    phrases = load_packs().phrases(lang)
    return phrases.find([lines])[0] if phrases else []


def table(title: str, heads: str, rows: Iterable[Sequence[object]]) -> None:
    columns = heads.split(" | ")
    print(f"\n| {title} | {heads} |\n| --- |{' ---: |' * len(columns)}")
    for row in rows:
        print("| " + " | ".join(f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row) + " |")


def false_alarms(data: Path, show: bool) -> dict[str, Any]:
    texts = sorted(genuine(data), key=lambda text: text.lang)
    counts: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    found: list[list[Found]] = []
    seconds = 0.0
    for lang, of_lang in groupby(texts, key=lambda text: text.lang):
        phrases = load_packs().phrases(lang)
        for batch in batches(of_lang, lambda text: sum(map(len, text.lines)), BATCH_CHARS):
            parts = [text.lines for text in batch]
            start = time.process_time()
            found += phrases.find(parts) if phrases else [[] for _ in parts]
            seconds += time.process_time() - start
    for text, own in zip(texts, found, strict=True):
        group = f"in languages with a pack, {'English' if text.lang == 'en' else 'other'}"
        for name in ("all", text.source, *([group] if load_packs().phrases(text.lang) else ())):
            counts[name] += 1
            lines[name] += len(text.lines)
            flags[name] += bool(own)
        for section in own if show else ():
            print(f"{text.source} {text.lang}: {section.reasons[0]}\n    {text.lines[section.first][:300]}")
    rows = [
        (name, counts[name], lines[name], flags[name], flags[name] / counts[name])
        for name in sorted(counts, key=lambda name: (name == "all", name.startswith("in "), name))
    ]
    table("genuine", "texts | lines | texts with a flag | share", rows)
    scores = Counter(section.score for own in found for section in own)
    print("\nscores: " + (", ".join(f"{score} {count} times" for score, count in sorted(scores.items())) or "none"))
    chars = sum(len(line) for text in texts for line in text.lines)
    print(f"\n{1000 * seconds / (chars / 4600):.3f} ms of CPU time per 4,600 characters")
    return {name: {"texts": counts[name], "flagged": flags[name]} for name in counts}


def found_padding(data: Path) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for row in read_jsonl(data / "classify" / "dev.jsonl.gz"):
        lines = row["text"].split("\n")
        starts = [0, *accumulate(len(line) + 1 for line in lines)]
        flagged = bytearray(len(row["text"]) + 1)
        for section in sections(row["lang"], lines):
            start, end = starts[section.first], starts[section.last] - 1
            flagged[start:end] = b"\1" * (end - start)
        for span in row["spans"]:
            if span["label"] == "ai_padding":
                size = span["end"] - span["start"]
                is_found = 2 * sum(flagged[span["start"] : span["end"]]) >= size
                words = len(row["text"][span["start"] : span["end"]].split())
                for name in (row["lang"], f"{row['lang']}, under 80 words" if words < 80 else ""):
                    counts[name] += bool(name)
                    hits[name] += bool(name) and is_found
    names = sorted(name for name in counts if name)
    table(
        "machine-written sections",
        "sections | found | share",
        [(name, counts[name], hits[name], hits[name] / counts[name]) for name in names],
    )
    return {name: hits[name] / counts[name] for name in names}


def found_training() -> None:
    """Print what is found of the filler that the section model learns from: the families were widened with it."""
    scores: Counter[float] = Counter()
    count = 0
    for row in read_jsonl(ROOT / "training" / "padding" / "padding.jsonl"):
        if "label" not in row:
            count += 1
            scores.update(section.score for section in sections(row.get("lang", "en"), row["text"].split("\n")))
    found = ", ".join(f"{score} {number} times" for score, number in sorted(scores.items()))
    print(f"\n{count} fillers written for training, used to widen the families; scores: {found}")


def found_cases() -> dict[str, Any]:
    counts: Counter[tuple[str, str]] = Counter()
    hits: Counter[tuple[str, str]] = Counter()
    for row in read_jsonl(CASES):
        for key in ((row["set"], row["lang"]), (row["set"], "**all**")):
            counts[key] += 1
            hits[key] += bool(sections(row["lang"], [row["text"]]))
    cell = {key: f"{hits[key]} of {counts[key]}" for key in counts}
    langs = sorted({lang for _, lang in counts}, key=lambda lang: (lang == "**all**", lang))
    rows = [(lang, *(cell.get((which, lang), "") for which in ("first", "second"))) for lang in langs]
    table("short fillers", "first set | second set", rows)
    return {f"{which} {lang}": hits[which, lang] / counts[which, lang] for which, lang in counts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=labelled, default=str(shared_dir() / "data"))
    parser.add_argument("--show", action="store_true", help="print each genuine text with a flag")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found_training()
    result = {
        "genuine": false_alarms(options.data, options.show),
        "padding": found_padding(options.data),
        "cases": found_cases(),
    }
    if options.json:
        options.json.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
