"""Draw what is found against what is lost, for lines of extractor output: docs/cleaning.svg.

    python -m benchmarks.cleaning [--data ../shared/data] [--every N]

The curve is rules and structure with the line model at every threshold, each page judged by a model that has not seen
its site (of every Nth page); no sentence is spared here, so that one number moves. Dots are the rows of
docs/quality.json, which `python -m benchmarks.run clean` writes: the presets and the peers. Precision and recall are by
lines, loss is by characters.
"""

from __future__ import annotations

import argparse
import json
import lzma
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import ROOT, labelled, shared_dir
from filter import Config, Document
from filter.clean import mark
from filter.lines import line_scores, using
from filter.segment import segment

VIEWS = ("trec", "rmain", "read")
BATCH_PAGES = 64
BOM = "\ufeff"
LOSSES = (0.0001, 0.001, 0.01, 0.1)
LEFT, TOP, WIDTH, HEIGHT, GAP = 60, 30, 330, 260, 80
COLOURS = {"ours": "#1f5fa8", "peers": "#b3541e", "parts": "#5d7d3a"}


def pages(data: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((data / "clean").glob("lines.*.jsonl.xz")):
        with lzma.open(path, "rt", encoding="utf-8") as file:
            yield from (row for row in map(json.loads, file) if row["view"] in VIEWS)


def judged(data: Path, every: int) -> tuple[Any, Any, Any]:
    """Return label, score and length of every scored line; a line that a rule has marked scores 2."""
    from benchmarks.adapters_clean import models
    from filter.training import fold_of

    by_fold: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in islice(pages(data), 0, None, every):
        by_fold[fold_of(row["domain"])].append(row)
    labels: list[int] = []
    scores: list[float] = []
    chars: list[int] = []
    for fold, rows in sorted(by_fold.items()):
        with using(models()[fold]):
            for at in range(0, len(rows), BATCH_PAGES):
                batch = [[line for line in row["lines"] if line["text"].strip()] for row in rows[at : at + BATCH_PAGES]]
                texts = ["\n".join(" ".join(line["text"].splitlines()) for line in lines) for lines in batch]
                documents = mark([segment(Document(text)) for text in texts], Config())
                known = [np.array([span.label != "content" for span in own.spans]) for own in documents]
                found = line_scores(
                    [[own.text[s.start : s.end].strip() for s in own.spans] for own in documents], known
                )
                for lines, own, hits, values in zip(batch, documents, known, found, strict=True):
                    kept = [i for i, span in enumerate(own.spans) if own.text[span.start : span.end] != BOM]
                    for i, line in zip(kept, lines, strict=True):
                        if not line.get("ignore"):
                            labels.append(line["label"])
                            scores.append(2.0 if hits[i] else float(values[i]))
                            chars.append(len(line["text"]))
    return np.array(labels), np.array(scores), np.array(chars)


def curve(labels: Any, scores: Any, chars: Any) -> list[tuple[float, float, float]]:
    """Return (loss, precision, recall) at falling thresholds, about 200 of them."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order])
    lost = np.cumsum(chars[order] * (labels[order] == 0))
    # Equal scores fall together.
    ends = np.flatnonzero(np.diff(scores[order], append=-1.0))
    ends = ends[
        np.unique(np.searchsorted(ends, np.geomspace(max(1, ends[0]), len(order) - 1, 200)).clip(max=len(ends) - 1))
    ]
    total = chars[labels == 0].sum()
    return [(lost[i] / total, hits[i] / (i + 1), hits[-1] / labels.sum() * hits[i] / hits[-1]) for i in ends.tolist()]


def dots(quality: Path) -> list[tuple[str, str, dict[str, float]]]:
    rows = json.loads(quality.read_text(encoding="utf-8"))["clean"]
    found = []
    for name, row in rows.items():
        kind = "ours" if name.startswith("textsieve") else "parts" if "alone" in name else "peers"
        found.append((name.replace(" (cross-validated)", ""), kind, row))
    return found


def place(loss: float) -> float:
    low, high = np.log10(LOSSES[0]), np.log10(0.3)
    return float((np.log10(min(0.3, max(LOSSES[0], loss))) - low) / (high - low))


def panel(
    left: float, title: str, line: Sequence[tuple[float, float]], marks: Sequence[tuple[str, str, float, float]]
) -> str:
    """Return one plot: `line` and `marks` as (loss, share)."""

    def at(loss: float, share: float) -> tuple[float, float]:
        return round(left + place(loss) * WIDTH, 1), round(TOP + (1 - share) * HEIGHT, 1)

    parts = [f'<text x="{left}" y="{TOP - 12}" class="title">{title}</text>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = at(LOSSES[0], share)[1]
        parts.append(
            f'<path d="M{left} {y}h{WIDTH}" class="grid"/><text x="{left - 6}" y="{y + 4}" class="y">{share:g}</text>'
        )
    for loss in LOSSES:
        x = at(loss, 0)[0]
        parts.append(
            f'<path d="M{x} {TOP}v{HEIGHT}" class="grid"/>'
            f'<text x="{x}" y="{TOP + HEIGHT + 16}" class="x">{loss:.2%}</text>'
        )
    parts.append(
        f'<text x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 34}" class="x">genuine text lost (logarithmic)</text>'
    )
    path = "L".join(f"{x} {y}" for x, y in (at(*point) for point in line))
    parts.append(f'<path d="M{path}" class="curve"/>')
    for number, kind, loss, share in marks:
        x, y = at(loss, share)
        parts.append(
            f'<circle cx="{x}" cy="{y}" r="4" fill="{COLOURS[kind]}"/><text x="{x + 6}" y="{y - 5}">{number}</text>'
        )
    return "\n".join(parts)


def draw(points: Sequence[tuple[float, float, float]], rows: Sequence[tuple[str, str, dict[str, float]]]) -> str:
    second = LEFT + WIDTH + GAP
    width, legend = second + WIDTH + 20, TOP + HEIGHT + 62
    names = []
    for i, (name, kind, row) in enumerate(rows):
        x, y = (LEFT, second)[i % 2], legend + 18 * (i // 2)
        text = f"{i + 1}  {name}: P {row['P']:.3f}, R {row['R']:.3f}, loss {row['loss']:.2%}"
        names.append(
            f'<circle cx="{x - 10}" cy="{y - 4}" r="4" fill="{COLOURS[kind]}"/><text x="{x}" y="{y}">{text}</text>'
        )
    marks = [(str(i + 1), kind, row) for i, (_, kind, row) in enumerate(rows)]
    height = legend + 18 * ((len(rows) + 1) // 2)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            'font-family="sans-serif" font-size="11">',
            "<style>.grid{stroke:#ddd;fill:none}.curve{stroke:#1f5fa8;fill:none;stroke-width:1.5}"
            ".title{font-size:13px;font-weight:bold}.x{text-anchor:middle}.y{text-anchor:end}</style>",
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            panel(
                LEFT,
                "Precision of the lines removed",
                [(loss, share) for loss, share, _ in points],
                [(number, kind, row["loss"], row["P"]) for number, kind, row in marks],
            ),
            panel(
                second,
                "Recall: boilerplate lines found",
                [(loss, share) for loss, _, share in points],
                [(number, kind, row["loss"], row["R"]) for number, kind, row in marks],
            ),
            *names,
            "</svg>\n",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=labelled, default=str(shared_dir() / "data"))
    parser.add_argument("--every", type=int, default=1, help="draw the curve from every Nth page only")
    options = parser.parse_args()
    points = curve(*judged(options.data, options.every))
    for loss, precision, recall in points[:: max(1, len(points) // 15)]:
        print(f"loss {loss:.3%}  P {precision:.3f}  R {recall:.3f}")
    picture = draw(points, dots(ROOT / "docs" / "quality.json"))
    (ROOT / "docs" / "cleaning.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
