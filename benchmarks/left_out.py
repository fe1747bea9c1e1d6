"""What the filler model finds of generators, domains and languages that it did not learn from, each left out alone.

    python -m benchmarks.left_out [topic] [generator] [domain] [language] [--data ../shared/data]

Each row is several models, and each document is judged by one that saw neither its story (for genuine text of other
kinds: its source) nor, for `generator`, what wrote its filler (a quarter of the stories is judged for each generator),
for `domain`, any text of its kind. Each model sets its threshold itself, on what it learned from. English sections;
flagged means half of the characters are. Filler in a language left out is never looked for, so that row needs no model.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks import labelled, shared_dir
from benchmarks.adapters_classify import DOMAINS, TRAINING, answer
from filter.section_model import SectionModel
from filter.training_sections import Example, learn, read_examples, settle

GENERATORS = (("GPT-3-Turbo", "gpt-3.5-turbo"), ("Llama-3-70B",), ("gpt-4",), ("text-davinci-003",))
PARTS = 4
Test = Callable[[Example], bool]


def splits(row: str) -> Iterator[tuple[str, Test, Test]]:
    """Yield, for each model of a row, a name, what it learns from, and what it judges."""
    if row == "topic":
        for part in range(PARTS):
            yield f"stories {part}", lambda e, p=part: e.bucket % PARTS != p, lambda e, p=part: e.bucket % PARTS == p
    elif row == "generator":
        for part, names in enumerate(GENERATORS):
            yield (
                names[0],
                lambda e, p=part, n=names: e.generator not in n and e.bucket % PARTS != p,
                lambda e, p=part, n=names: (e.is_genuine or e.generator in n) and e.bucket % PARTS == p,
            )
    elif row == "domain":
        known = {domain for domains, _ in DOMAINS for domain in domains}
        for part, (domains, _) in enumerate(DOMAINS):

            def is_out(e: Example, p: int = part, d: tuple[str, ...] = domains) -> bool:
                return e.domain in d or (e.domain not in known and e.bucket % PARTS == p)

            yield domains[0], lambda e, out=is_out: not out(e), is_out


@dataclass
class Counts:
    """What was judged and what was flagged: sections of filler, of news, genuine ones, genuine documents."""

    all: np.ndarray
    flagged: np.ndarray

    def __str__(self) -> str:
        shares = self.flagged / np.maximum(1, self.all)
        cells = [f"{shares[0]:.3f}", f"{shares[1]:.3f}", f"{shares[2]:.2%}", f"{shares[3]:.2%}"]
        return " | ".join(f"{cell} ({n:,})" for cell, n in zip(cells, self.all, strict=True))


def judge(model: SectionModel, examples: list[Example]) -> Counts:
    """Return what a model flags as filler among the sections of some documents."""
    counts = Counts(np.zeros(4, int), np.zeros(4, int))
    seen: set[str] = set()
    for e in examples:
        marks = np.zeros(len(e.text), dtype=bool)
        for start, end, label, _ in answer(e.text, model):
            marks[start:end] |= label == "ai_padding"
        for start, end, label in e.spans:
            if label == "ai_padding":
                rows = [0, 1] if e.domain == "news" else [0]
            elif label == "human" and e.text[start:end] not in seen:
                seen.add(e.text[start:end])
                rows = [2]
            else:
                continue
            counts.all[rows] += 1
            counts.flagged[rows] += marks[start:end].mean() >= 0.5
        if e.is_genuine:
            counts.all[3] += 1
            counts.flagged[3] += marks.sum() > 40
    return counts


def main() -> None:
    """Learn the models of each row and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    rows = ("topic", "generator", "domain", "language")
    parser.add_argument("rows", nargs="*", choices=[[], *rows])
    parser.add_argument("--data", type=labelled, default=str(shared_dir() / "data"))
    arguments = parser.parse_args()
    examples = [e for e in read_examples(arguments.data, TRAINING) if e.lang == "en"]
    real = [e for e in examples if e.is_real and e.domain != "mail"]
    print("| left out | found | found, news | genuine sections flagged | genuine documents flagged |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for row in arguments.rows or rows:
        if row == "language":
            print("| language | 0 (abstains) | 0 | 0 | 0 |", flush=True)
            continue
        total = Counts(np.zeros(4, int), np.zeros(4, int))
        for name, is_seen, is_held in splits(row):
            learned = learn([e for e in examples if is_seen(e)], ("en",))
            part = judge(settle(learned)[0], [e for e in real if is_held(e)])
            print(f"| {row}: {name} | {part} |", flush=True)
            total.all += part.all
            total.flagged += part.flagged
        print(f"| **{row}** | {total} |", flush=True)


if __name__ == "__main__":
    main()
