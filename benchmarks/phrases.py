"""Recall of the rule packs on phrases that they were not written from, by kind and by language.

    python -m benchmarks.phrases [--data ../shared/data] [--missed seen] [--json FILE]

The phrases are the translations of a consent dialogue, a comment system and a membership portal for 24 languages
(tests/cases/phrases_held.jsonl; sources and licences in phrases_held.md beside it). They are parted by what they say,
not by language: misses in the half `seen` may be looked at when packs are improved, those in the half `held` may not,
so `--missed` prints the first half only. A weak rule counts as half found: it holds beside other hits. The last line is
what the same rules find in genuine sentences of the labelled data, one per line.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks import ROOT, shared_dir
from filter.rules import load_packs

CASES = ROOT / "tests" / "cases"
HALVES = ("seen", "held")


def read(name: str) -> list[dict[str, str]]:
    with (CASES / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def recall(rows: Iterable[dict[str, Any]]) -> float:
    found = [row["found"] for row in rows]
    return sum(found) / len(found) if found else float("nan")


def table(title: str, rows: list[dict[str, Any]], field: str) -> None:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row[field]].append(row)
    print(f"\n| {title} | phrases | found | in the half seen | in the half held |\n| --- | ---: | ---: | ---: | ---: |")
    for name, own in [*sorted(groups.items()), ("**all**", rows)]:
        halves = (recall(row for row in own if row["half"] == half) for half in HALVES)
        print(f"| {name} | {len(own)} | {recall(own):.3f} | {' | '.join(f'{share:.3f}' for share in halves)} |")


def genuine_lines(data: Path) -> list[str]:
    with (data / "lang" / "dev.jsonl").open(encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["kind"].startswith("mono")]
    return [line for row in rows for line in row["text"].split("\n") if line.strip()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=shared_dir() / "data")
    parser.add_argument("--missed", choices=("seen",), help="print the phrases of that half that no rule finds")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rules = load_packs()
    rows: list[dict[str, Any]] = list(read("phrases_held.jsonl"))
    for row, match in zip(rows, rules.match([row["text"] for row in rows]), strict=True):
        row["found"] = 0.0 if match is None else 0.5 if match.weak else 1.0
    table("kind", rows, "category")
    table("language", rows, "lang")
    if options.data.is_dir():
        lines = genuine_lines(options.data)
        hits = sum(match is not None and not match.weak for match in rules.match(lines))
        print(f"\ngenuine sentences taken for boilerplate: {hits} of {len(lines):,}")
    for row in rows:
        if options.missed == row["half"] and row["found"] < 1:
            print(f"- {row['lang']} {row['category']} {row['found']} [{row['key'][:30]}] {row['text']}")
    if options.json:
        kinds = sorted({row["category"] for row in rows})
        figures = {
            half: {kind: recall(r for r in rows if (r["half"], r["category"]) == (half, kind)) for kind in kinds}
            for half in HALVES
        }
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
