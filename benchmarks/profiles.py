"""Measure site profiles on the labelled lines: what they find, and what they lose, on hosts with enough pages.

    python -m benchmarks.profiles [--data ../shared/data] [--layers profiles|rules|all] [--min-pages 3] [--losses N]

Each view of a page (an extractor's output, or all visible text) is learned and scored apart: people hold one of them.
Two ways of learning: `seen`, where the page that is judged is one of those that were learned from (what `run --learn`
does); and `unseen`, where it is not: the host's pages are dealt into ten parts, each judged by the profile of the other
nine, on hosts of one page more. Prints Markdown.

`loss` is the share of genuine characters removed, `harmed` the share of documents that lose over a tenth of theirs;
lines marked `ignore` in the data are not counted. Nothing is trained here but the profiles of the very
hosts that are scored.
"""

from __future__ import annotations

import argparse
import json
import lzma
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import labelled, shared_dir
from filter import Config, Document
from filter.clean import clean, mark
from filter.config import Preset
from filter.profiles import MIN_SCORES, host_of, learn, mark_site_lines
from filter.segment import line_bounds, segment

FOLDS = 10
HARM = 0.1
BOM = "\ufeff"


@dataclass(frozen=True)
class Page:
    """A page of the data: its document, and for each span the labelled line it holds."""

    group: str
    domain: str
    document: Document
    lines: list[dict[str, Any]]


@dataclass
class Score:
    """Counts of lines and characters."""

    pages: int = 0
    right: int = 0
    wrong: int = 0
    missed: int = 0
    chars: int = 0
    lost_chars: int = 0
    harmed: int = 0

    def add(self, page: Page, marked: Document) -> list[str]:
        """Count a page; return the genuine lines it lost."""
        losses = []
        chars = lost_chars = 0
        spans = [span for span in marked.spans if marked.text[span.start : span.end] != BOM]
        for span, line in zip(spans, page.lines, strict=True):
            if line.get("ignore"):
                continue
            is_removed = span.label == "boilerplate"
            if line["label"]:
                self.right += is_removed
                self.missed += not is_removed
            else:
                self.wrong += is_removed
                chars += len(line["text"])
                if is_removed:
                    lost_chars += len(line["text"])
                    losses.append(f"{page.group} | {' '.join(span.reasons)} | {line['text'][:100]}")
        self.pages += 1
        self.chars += chars
        self.lost_chars += lost_chars
        self.harmed += lost_chars > HARM * chars
        return losses

    def row(self) -> dict[str, float]:
        precision = self.right / max(1, self.right + self.wrong)
        recall = self.right / max(1, self.right + self.missed)
        return {
            "pages": self.pages,
            "P": precision,
            "R": recall,
            "F1": 2 * precision * recall / max(1e-9, precision + recall),
            "loss": self.lost_chars / max(1, self.chars),
            "harmed": self.harmed / max(1, self.pages),
        }


def read_pages(data: Path) -> Iterator[tuple[str, str, Page]]:
    """Yield (source, view, page) of every labelled page."""
    for path in sorted((data / "clean").glob("lines.*.jsonl.xz")):
        with lzma.open(path, "rt", encoding="utf-8") as file:
            for row in map(json.loads, file):
                lines = [line for line in row["lines"] if line["text"].strip()]
                text = "\n".join(" ".join(line["text"].splitlines()) for line in lines)
                document = segment(Document(text, id=row["id"], url=row["url"]))
                assert len(document.spans) == len(lines), row["id"]
                yield row["source"], row["view"], Page(f"{row['source']}/{row['view']}", row["domain"], document, lines)


def by_host(data: Path, min_pages: int) -> dict[tuple[str, str, str], list[Page]]:
    """Return the pages of each (source, view, host) that has enough of them."""
    groups: dict[tuple[str, str, str], list[Page]] = defaultdict(list)
    for source, view, page in read_pages(data):
        if host := host_of(page.document):
            groups[source, view, host].append(page)
    return {key: pages for key, pages in sorted(groups.items()) if len(pages) >= min_pages}


def judged(pages: Sequence[Page], preset: Preset, *, is_seen: bool, layers: str) -> Iterator[tuple[Page, Document]]:
    """Yield each page of a host with its document as marked."""
    folds = 1 if is_seen else min(FOLDS, len(pages))
    for fold in range(folds):
        held = pages[fold::folds]
        learned = pages if is_seen else [page for i, page in enumerate(pages) if i % folds != fold]
        profile = learn(page.document for page in learned)
        documents = [page.document for page in held]
        if layers != "profiles":
            documents = mark(documents, Config(preset=preset))
        documents = mark_site_lines(documents, profile, min_score=MIN_SCORES[preset])
        if layers == "all":
            documents = with_model(documents, held[0].domain, preset)
        yield from zip(held, documents, strict=True)


def with_model(documents: Sequence[Document], domain: str, preset: Preset) -> list[Document]:
    """Return the documents as the clean stage goes on with them, by a line model that has not seen their site."""
    from benchmarks.adapters_clean import models
    from filter.lines import using
    from filter.training import fold_of

    with using(models()[fold_of(domain)]):
        # What rules and profiles have marked stays, so that the stage adds the model's marks to them.
        return clean(documents, Config(preset=preset))


def table(rows: dict[str, Score]) -> str:
    head = "| | pages | P | R | F1 | loss | harmed |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    body = []
    for name, score in rows.items():
        row = score.row()
        figures = " | ".join(f"{row[key]:.3f}" for key in ("P", "R", "F1"))
        body.append(f"| {name} | {score.pages:,} | {figures} | {row['loss']:.2%} | {row['harmed']:.2%} |")
    return "\n".join([head, *body])


def speed(groups: dict[tuple[str, str, str], list[Page]]) -> str:
    """Return how fast all pages at once are learned and marked, in MB of UTF-8 per CPU second."""
    documents = [page.document for pages in groups.values() for page in pages]
    size = sum(len(document.text.encode()) for document in documents) / 1e6
    lines = sum(1 for document in documents for _ in line_bounds(document.text))
    start = time.process_time()
    profile = learn(documents)
    middle = time.process_time()
    mark_site_lines(documents, profile)
    end = time.process_time()
    return (
        f"{size:.1f} MB, {lines:,} lines: learning {size / (middle - start):.1f} MB/s, "
        f"marking {size / (end - middle):.1f} MB/s (one core)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=labelled, default=str(shared_dir() / "data"))
    parser.add_argument("--min-pages", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--losses", type=int, default=0, metavar="N", help="show N of the genuine lines lost")
    parser.add_argument(
        "--layers",
        choices=("profiles", "rules", "all"),
        default="profiles",
        help="profiles alone; after the rules; or between rules and a line model that has not seen the site",
    )
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    losses: dict[str, None] = {}
    runs: tuple[tuple[bool, Preset], ...] = (
        (True, "gentle"),
        (True, "balanced"),
        (True, "strict"),
        (False, "balanced"),
    )
    for is_seen, preset in runs:
        groups = by_host(options.data, options.min_pages + (not is_seen))
        rows: dict[str, Score] = defaultdict(Score)
        for (source, view, _), pages in groups.items():
            kind = "all visible text" if view == "full" else "extractor output"
            for page, document in judged(pages, preset, is_seen=is_seen, layers=options.layers):
                for name in (f"**{kind}**", f"{kind}: {source}"):
                    found = rows[name].add(page, document)
                losses.update(dict.fromkeys(found))
        name = f"{preset}, {'seen' if is_seen else 'unseen'}"
        rows = dict(sorted(rows.items(), key=lambda row: (row[0].strip("*"), row[0])))
        figures[name] = {row: score.row() for row, score in rows.items()}
        print(f"\n### {name}: {len({key[2] for key in groups})} hosts\n\n{table(rows)}")
    print(f"\n{speed(by_host(options.data, 1))}")
    for line in list(losses)[: options.losses]:
        print(f"- {line}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
