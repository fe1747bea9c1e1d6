"""How often genuine text is called broken, and how often text that was broken on purpose is.

    python -m benchmarks.low_quality [--data ../shared/data] [--show]

False alarms are counted on everything in the labelled data that people wrote: news in over 100 languages, speeches,
letters, fiction, law, web pages; the latter as their collections have them, with what damage they have (--show prints
what is flagged). Breaking is done to one line of every genuine text that has one of 120 characters, the same way each
time; the line counts as found whichever rule says so. Docs are written by hand from what this prints.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import lzma
import random
import string
from collections import Counter

from benchmarks import labelled, shared_dir
from filter.quality import find_flaws

RULES = ("encoding", "unbroken", "symbols", "repeated", "keywords", "gibberish", "copied")
MISREADINGS = ("latin-1", "cp1252", "cp1250", "cp1251", "cp437", "mac_roman")


def genuine(data):
    """Yield source and text of everything that people wrote, as one text per document."""
    with (data / "lang" / "dev.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["kind"].startswith("mono") or row["kind"] == "quotes_hand":
                yield f"{row['kind'].split('_')[0]} in one language", row["text"]
    for name in ("dev.jsonl.gz", "dev_human.jsonl.gz"):
        with gzip.open(data / "classify" / name, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                if all(span["label"] == "human" for span in row["spans"]):
                    yield row["source"], row["text"]
    for path in sorted((data / "clean").glob("lines.*.jsonl.xz")):
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                page = json.loads(line)
                if page["view"] == "trec":
                    text = "\n".join(row["text"] for row in page["lines"] if row["label"] == 0 and "ignore" not in row)
                    if text.strip():
                        yield f"web pages, {page['source']}", text


def misread(line, encoding):
    return line.encode().decode(encoding, "ignore")


def ways(rng):
    """Return ways to break a line, by name; each is told the line, and may say that it cannot."""

    def keywords(line):
        words = [word for word in line.split() if len(word) > 3][:6]
        return ", ".join(rng.choice(words) for _ in range(80)) if len(words) > 3 else None

    def gibberish(line):
        return " ".join("".join(rng.choices("bcdfghjklmnpqrstvwxz", k=rng.randint(4, 9))) for _ in range(30))

    found = {f"UTF-8 read as {name}": lambda line, name=name: misread(line, name) for name in MISREADINGS}
    found |= {
        "letters lost": lambda line: "".join("\ufffd" if not char.isascii() else char for char in line),
        "repeated clause": lambda line: " ".join([line[:60]] * 20) if " " in line[:60] else line[:40] * 20,
        "keyword list": keywords,
        "consonants": gibberish,
        "base64": lambda line: base64.b64encode(line.encode() * 4).decode(),
        "signs": lambda line: "".join(rng.choices(string.punctuation, k=200)),
    }
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=labelled, default=str(shared_dir() / "data"))
    parser.add_argument("--show", action="store_true", help="print what is flagged in genuine text")
    arguments = parser.parse_args()
    texts, lines, hit_texts, rules = Counter(), Counter(), Counter(), {}
    lines_for, seen = [], set()
    for source, text in genuine(arguments.data):
        if text in seen:
            continue
        seen.add(text)
        texts[source] += 1
        flaws, rows = find_flaws(text), text.split("\n")
        lines[source] += len(rows)
        hit_texts[source] += bool(flaws)
        rules.setdefault(source, Counter()).update(flaw.rule for flaw in flaws)
        if arguments.show:
            for flaw in flaws:
                print(f"{source}: {flaw.rule}: {flaw.reason}: {rows[flaw.line][:120]!r}")
        lines_for += [line for line in rows if len(line) >= 120][:1]
    print("| genuine text | texts | flagged | lines | flagged | " + " | ".join(RULES) + " |")
    print("| --- |" + " ---: |" * (4 + len(RULES)))
    rules["all"] = sum(rules.values(), Counter())
    for counts in (texts, lines, hit_texts):
        counts["all"] = sum(counts.values())
    for source in [*sorted(texts.keys() - {"all"}), "all"]:
        flagged = sum(rules[source].values())
        cells = [
            f"{texts[source]:,}",
            f"{hit_texts[source] / texts[source]:.2%}",
            f"{lines[source]:,}",
            f"{flagged / lines[source]:.3%}",
            *(str(rules[source][rule]) for rule in RULES),
        ]
        print(f"| {source} | " + " | ".join(cells) + " |")
    print("\n| text broken on purpose | lines | found |\n| --- | ---: | ---: |")
    for name, break_ in ways(random.Random(0)).items():
        broken = [(line, break_(line)) for line in lines_for]
        # Plain ASCII cannot be misread.
        broken = [after for before, after in broken if after and after != before]
        print(f"| {name} | {len(broken):,} | {sum(bool(find_flaws(line)) for line in broken) / len(broken):.1%} |")


if __name__ == "__main__":
    main()
