"""Whether parts that translate each other are told from parts that do not: precision, recall and F1.

Translations: the languages of the documents whose languages say the same (kinds block with `parallel`, alternate,
inline), their first and second halves, one to three lines of them, and the whole with lines missing or joined on
either side ("gaps"). No translations: other articles in one document (block), the first half with the second half of
the translation (the same article, topic and names), lines with the translation of those after them, a news article and
site boilerplate (tail), and two documents at random.

    python -m benchmarks.translation ../shared/data/lang/dev.jsonl [--fit] [--documents]

Figures come from five-fold cross-validation over documents; --fit prints the weights for filter/translation.py, and
--documents adds the parts that the splitter itself finds, judged with the weights that are there, and how well the
lines of translations are aligned.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import labelled
from filter import Config, Document
from filter.language import split_languages
from filter.segment import segment
from filter.translation import FEATURES, MIN_SCORE, aligned_pairs, features, score

_KINDS = ("block", "alternate", "inline", "tail")
# Read by hand among what was found and should not have been: documents labelled as holding different articles that hold
# one twice, and documents drawn at random that hold the same one.
_ONE_ARTICLE = {
    ("dev-block-0011", "dev-block-0011"),
    ("dev-block-0054", "dev-block-0054"),
    ("dev-block-0096", "dev-block-0096"),
    ("dev-block-0067", "dev-tail-0056"),
    ("dev-alternate-0042", "dev-tail-0009"),
    ("dev-alternate-0053", "dev-block-0149"),
    ("dev-alternate-0069", "dev-tail-0092"),
    ("dev-tail-0022", "dev-block-0027"),
}


class Case(NamedTuple):
    document: str
    kind: str
    left: str
    right: str
    is_translation: bool


def read(path: Path) -> list[dict[str, Any]]:
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [row for row in rows if row["kind"] in _KINDS]


def is_parallel(row: dict[str, Any]) -> bool:
    return row["kind"] in ("alternate", "inline") or bool(row.get("parallel"))


def texts(row: dict[str, Any]) -> dict[str, str]:
    parts: dict[str, list[str]] = {}
    for span in row["spans"]:
        parts.setdefault(span["lang"], []).append(row["text"][span["start"] : span["end"]])
    return {lang: "\n".join(lines) for lang, lines in parts.items()}


def halves(text: str) -> list[str]:
    lines = [line for line in text.split("\n") if line.strip()]
    middle = len(lines) // 2
    return ["\n".join(lines[:middle]), "\n".join(lines[middle:])] if middle else []


def cases(rows: list[dict[str, Any]]) -> Iterator[Case]:
    chance = random.Random(0)
    for row in rows:
        parts = texts(row)
        for left, right in combinations(parts, 2):
            same = is_parallel(row)
            if not same and (row["id"], row["id"]) in _ONE_ARTICLE:
                continue
            yield Case(row["id"], row["kind"], parts[left], parts[right], same)
            first, second = halves(parts[left]), halves(parts[right])
            if same and first and second:
                spoilt = [_spoilt(parts[lang].split("\n"), chance)[0] for lang in (left, right)]
                yield Case(row["id"], f"{row['kind']}, gaps", *spoilt, True)
                for a, b in ((0, 0), (1, 1), (0, 1), (1, 0)):
                    yield Case(row["id"], f"{row['kind']}, half", first[a], second[b], a == b)
        yield from few_lines(row, chance)
        for other in chance.sample(rows, 2):
            (left, a), (right, b) = chance.choice(list(parts.items())), chance.choice(list(texts(other).items()))
            if other is not row and left != right and (row["id"], other["id"]) not in _ONE_ARTICLE:
                yield Case(row["id"], "random", a, b, False)


def few_lines(row: dict[str, Any], chance: random.Random) -> Iterator[Case]:
    """Yield one to three lines with their translation, and with that of the lines after them."""
    sides = [[line for line in text.split("\n") if line.strip()] for text in list(texts(row).values())[:2]]
    if not is_parallel(row) or len(sides[0]) != len(sides[1]):
        return
    for size in (1, 2, 3):
        if len(sides[0]) >= 2 * size:
            at = chance.randrange(len(sides[0]) - 2 * size + 1)
            for skip in (0, size):
                left, right = sides[0][at : at + size], sides[1][at + skip : at + skip + size]
                kind = f"{size} line{'s' * (size > 1)}"
                yield Case(row["id"], kind, "\n".join(left), "\n".join(right), not skip)


def figures(found: np.ndarray, wanted: np.ndarray) -> str:
    hits = int((found & wanted).sum())
    precision, recall = hits / max(int(found.sum()), 1), hits / max(int(wanted.sum()), 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return f"P {precision:.3f}  R {recall:.3f}  F1 {f1:.3f}  ({int(wanted.sum())} of {len(wanted)})"


def cross_validated(data: list[Case], fit: bool) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values = [features(case.left, case.right) for case in data]
    table = np.array([np.zeros(len(FEATURES)) if row is None else row for row in values])
    wanted = np.array([case.is_translation for case in data])
    groups = [case.document for case in data]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=3, max_iter=2000))
    chance = cross_val_predict(model, table, wanted, groups=groups, cv=GroupKFold(5), method="predict_proba")[:, 1]
    found = chance >= MIN_SCORE
    print("pairs of gold texts, cross-validated")
    for kind in sorted({case.kind for case in data}):
        rows = np.array([case.kind == kind for case in data])
        print(f"  {kind:<16} {figures(found[rows], wanted[rows])}")
    print(f"  {'all':<16} {figures(found, wanted)}")
    if fit:
        model.fit(table, wanted)
        scaler, linear = model
        weights = linear.coef_[0] / scaler.scale_
        print(f"_BIAS = {linear.intercept_[0] - weights @ scaler.mean_:.3f}")
        print(f"_WEIGHTS = ({', '.join(f'{weight:.3f}' for weight in weights)})")


def end_to_end(rows: list[dict[str, Any]]) -> None:
    """Judge every pair of parts that the splitter finds: all are translations of each other, or none."""
    documents = split_languages([segment(Document(row["text"])) for row in rows], Config())
    found, wanted, kinds = [], [], []
    for row, document in zip(rows, documents, strict=True):
        parts = document.parts() if (row["id"], row["id"]) not in _ONE_ARTICLE else []
        for left, other in combinations(parts, 2):
            found.append(score(left.text, other.text) >= MIN_SCORE)
            wanted.append(is_parallel(row))
            kinds.append(row["kind"])
    print("parts that the splitter found")
    for kind in sorted(set(kinds)):
        chosen = np.array([k == kind for k in kinds])
        print(f"  {kind:<16} {figures(np.array(found)[chosen], np.array(wanted)[chosen])}")
    print(f"  {'all':<16} {figures(np.array(found), np.array(wanted))}")


def alignment(rows: list[dict[str, Any]]) -> None:
    """Align lines of which some are missing, and some joined to the one before.

    A pair is right if both sides hold the same lines; a line is found if both sides of one pair hold it.
    """
    chance = random.Random(1)
    right = found = together = wanted = 0
    for row in rows:
        lines: dict[str, list[str]] = {}
        for span in row["spans"]:
            lines.setdefault(span["lang"], []).append(" ".join(row["text"][span["start"] : span["end"]].split()))
        if row["kind"] not in ("alternate", "inline") or len(lines) != 2 or len(set(map(len, lines.values()))) != 1:
            continue
        texts, owners = zip(*(_spoilt(side, chance) for side in lines.values()), strict=True)
        pairs = [
            [set(owner[slice(*bounds)]) for owner, bounds in zip(owners, pair[:2], strict=True)]
            for pair in aligned_pairs(*texts)
        ]
        found += len(pairs)
        right += sum(left == other for left, other in pairs)
        wanted += len(set(owners[0]) & set(owners[1]))
        together += len(set().union(*(left & other for left, other in pairs)))
    print(f"lines aligned: P {right / found:.3f}  R {together / wanted:.3f}  ({wanted:,})")


def _spoilt(lines: list[str], chance: random.Random) -> tuple[str, list[int]]:
    """Return a text without one line in seven, one in twenty joined to the one before, and each character's line."""
    text, owner = "", []
    for number, line in enumerate(lines):
        if chance.random() < 1 / 7 and number:
            continue
        mark = (" " if chance.random() < 1 / 20 else "\n") if text else ""
        text += mark + line
        owner += [number] * len(mark + line)
    return text, owner


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=labelled)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--documents", action="store_true")
    options = parser.parse_args()
    rows = read(options.data)
    cross_validated(list(cases(rows)), options.fit)
    if options.documents:
        end_to_end(rows)
        alignment(rows)


if __name__ == "__main__":
    main()
