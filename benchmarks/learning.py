"""What reviewing the first pages of a site is worth on its other pages.

    python -m benchmarks.learning [--data ../shared/data] [--lines 200] [--pages 4] [--profiles] [--svg docs/review.svg]

A site is reviewed page by page until so many lines have been looked at; what people would have decided is taken from
the labels. Then its other pages are cleaned as `run` does (balanced), with no decisions, and with those about the first
25, 50, 100 and 200 lines, and scored; the pages that are scored are the same for each. With --profiles, the site's own
profile, learned from all its pages without labels, is used as well, before and after. The line model has not seen the
site: it is learned from the other folds of the data. Only sites with enough lines, and so many pages besides, are
measured; figures are over all of them together, and the number of sites on which F1 rose or fell is given. Nothing
shipped is learned here. Prints Markdown, and draws it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks import shared_dir
from benchmarks.profiles import Page, Score, by_host, with_model
from filter import Config, Document
from filter.clean import mark
from filter.decisions import Decisions, decide
from filter.evaluation import GoldDocument, GoldSpan
from filter.profiles import MIN_SCORES, learn, mark_site_lines

STEPS = (25, 50, 100)


@dataclass
class Site:
    """A site, cut into the pages that are reviewed and those that are scored."""

    name: str
    reviewed: list[Page] = field(default_factory=list)
    scored: list[Page] = field(default_factory=list)

    @classmethod
    def cut(cls, name: str, pages: Sequence[Page], lines: int) -> Site:
        site, seen = cls(name), 0
        for page in pages:
            (site.reviewed if seen < lines else site.scored).append(page)
            seen += len(page.lines)
        return site

    def decisions(self, lines: int) -> Decisions:
        """Return what people would have decided about the first lines."""
        found = Decisions({}, {}, {})
        for page in self.reviewed:
            spans = []
            for span, line in zip(page.document.spans, page.lines, strict=False):
                lines -= 1
                if lines < 0:
                    break
                if not line.get("ignore"):
                    label = "boilerplate" if line["label"] else "content"
                    end = span.start + len(page.document.text[span.start : span.end].rstrip())
                    spans.append(GoldSpan(span.start, end, label, "", frozenset({label})))
            found.add(GoldDocument(page.document.id, page.document.text, tuple(spans), page.document.url))
        return found


def cleaned(site: Site, *, profile: bool) -> list[Document]:
    documents = mark([page.document for page in site.scored], Config())
    if profile:
        known = learn(page.document for page in (*site.reviewed, *site.scored))
        documents = mark_site_lines(documents, known, min_score=MIN_SCORES["balanced"])
    return with_model(documents, site.scored[0].domain, "balanced")


def scored(site: Site, documents: Sequence[Document], total: Score) -> float:
    own = Score()
    for page, document in zip(site.scored, documents, strict=True):
        own.add(page, document)
        total.add(page, document)
    return own.row()["F1"]


def chart(rows: dict[int, dict[str, float]], sites: int) -> str:
    """Return a picture of F1 over the lines that were reviewed."""
    width, height, left, base = 520, 260, 60, 210
    values = [row["F1"] for row in rows.values()]
    low, high = min(values) - 0.01, max(values) + 0.01
    last = max(rows)
    places = [
        (left + (width - left - 40) * lines / last, base - (base - 40) * (row["F1"] - low) / (high - low))
        for lines, row in rows.items()
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#2563eb"/>'
        f'<text x="{x:.1f}" y="{y - 10:.1f}" text-anchor="middle">{row["F1"]:.3f}</text>'
        f'<text x="{x:.1f}" y="{base + 20}" text-anchor="middle">{lines}</text>'
        for (x, y), (lines, row) in zip(places, rows.items(), strict=True)
    )
    title = f"F1 on the other pages of a site, by lines reviewed ({sites} sites and views)"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" '
        f'font-size="12"><rect width="{width}" height="{height}" fill="white"/>'
        f'<text x="{left}" y="20" font-size="14">{escape(title)}</text>'
        f'<line x1="{left}" y1="{base}" x2="{width - 20}" y2="{base}" stroke="#888"/>'
        f'<polyline points="{line}" fill="none" stroke="#2563eb" stroke-width="2"/>{dots}'
        f'<text x="{(left + width) / 2:.0f}" y="{base + 40}" text-anchor="middle">lines reviewed</text></svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=shared_dir() / "data")
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--pages", type=int, default=4, help="that must be left to score")
    parser.add_argument("--views", default="trec,rmain,read,full")
    parser.add_argument("--profiles", action="store_true")
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args()
    sites = []
    for (source, view, host), pages in by_host(options.data, options.pages + 1).items():
        site = Site.cut(f"{source}/{view}/{host}", pages, options.lines)
        if view in options.views.split(",") and len(site.scored) >= options.pages:
            sites.append(site)
    steps = [0, *(step for step in STEPS if step < options.lines), options.lines]
    totals = {lines: Score() for lines in steps}
    better = worse = 0
    for site in sites:
        documents = cleaned(site, profile=options.profiles)
        found = [scored(site, decide(documents, site.decisions(lines)), totals[lines]) for lines in steps]
        better += found[-1] > found[0]
        worse += found[-1] < found[0]
    print(f"{len(sites)} sites and views, {totals[0].pages:,} pages scored; F1 rose on {better}, fell on {worse}\n")
    print("| lines reviewed | P | R | F1 | loss |\n| ---: | ---: | ---: | ---: | ---: |")
    rows = {lines: score.row() for lines, score in totals.items()}
    for lines, row in rows.items():
        print(f"| {lines} | {row['P']:.3f} | {row['R']:.3f} | {row['F1']:.3f} | {row['loss']:.2%} |")
    if options.svg:
        options.svg.write_text(chart(rows, len(sites)), encoding="utf-8")


if __name__ == "__main__":
    main()
