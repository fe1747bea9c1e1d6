"""What the spam model finds of each kind of spam, and in which genuine texts it sees some.

    python -m benchmarks.spam_kinds [--data ../shared/data]

Each labelled document is judged by a model that saw neither its story nor, for genuine texts of other kinds, its source
(the models of `benchmarks.adapters_classify:cv`, learned when first asked for). A section of spam counts as found when
half of its characters are flagged, whatever as; a wholly genuine document when 40 characters are marked as spam.
"""

from __future__ import annotations

import argparse
from collections import Counter

from benchmarks import labelled, shared_dir
from benchmarks.adapters_classify import cv
from filter.training import data_folder, read_jsonl

TEMPLATE_MARKS = (".example", "payday", "Viagra", "in the market")


def kind_of(source: str, label: str, text: str) -> str:
    """Return which kind of spam a labelled section is."""
    if label == "seo_tags":
        return "tags"
    if source == "MASC":
        return "letters"
    return "templates" if any(mark in text for mark in TEMPLATE_MARKS) else "comments"


def main() -> None:
    """Judge the documents and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=labelled, default=str(shared_dir() / "data"))
    folder = data_folder(parser.parse_args().data, "classify")
    sections, found, documents, marked = (Counter[str]() for _ in range(4))
    for name in ("dev.jsonl.gz", "dev_human.jsonl.gz"):
        for row in read_jsonl(folder / name):
            text = row["text"]
            flagged, spam = bytearray(len(text)), 0
            for start, end, label, _ in cv(text):
                if label != "human":
                    flagged[start:end] = b"\1" * (end - start)
                    spam += (end - start) * (label == "spam")
            for span in row["spans"]:
                if span["label"] in ("spam", "seo_tags"):
                    start, end = span["start"], span["end"]
                    kind = kind_of(row["source"], span["label"], text[start:end])
                    sections[kind] += 1
                    found[kind] += 2 * sum(flagged[start:end]) >= end - start
            if all(span["label"] == "human" for span in row["spans"]):
                documents[row["source"]] += 1
                marked[row["source"]] += spam > 40
    for title, all_, hits in (
        ("| spam | sections | found |", sections, found),
        ("| genuine | documents | with spam |", documents, marked),
    ):
        print(f"{title}\n| --- | ---: | ---: |")
        for name, count in sorted(all_.items()):
            print(f"| {name} | {count:,} | {hits[name]:,} |")
        print()


if __name__ == "__main__":
    main()
