"""What reviewing the first pages of a site is worth on its other pages.

    python -m benchmarks.learning [--data ../shared/data] [--lines 200] [--pages 4] [--profiles] [--svg docs/review.svg]
                                  [--views trec,rmain,read,full] [--sections 50] [--only lines|sections]

A site is reviewed page by page until so many lines have been looked at; what people would have decided is taken from
the labels. Then its other pages are cleaned as `run` does (balanced), with no decisions, and with those about the first
25, 50, 100 and 200 lines, and scored; the pages that are scored are the same for each. With --profiles, the site's own
profile, learned from all its pages without labels, is used as well, before and after. The line model has not seen the
site: it is learned from the other folds of the data. Only sites with enough lines, and so many pages besides, are
measured; figures are over all of them together, and the number of sites on which F1 rose or fell is given. Nothing
shipped is learned here.

Then the same for sections. A "site" of the labelled English documents is all of one collection and domain (l2r's
business texts); the model has seen neither that domain nor one generator. Document by document, what run --review
lists, flagged or not, is reviewed until there are so many; the limit for filler is learned from that, and the other
documents are scored by characters. In half of the documents there is filler, more than on any site people would call
their own. Prints Markdown, and draws it.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks import labelled, shared_dir
from benchmarks.profiles import Page, Score, by_host, with_model
from filter import Config, Document
from filter.clean import clean, mark
from filter.decisions import Decisions, decide
from filter.evaluation import GoldDocument, GoldSpan
from filter.language import split_languages
from filter.profiles import MIN_SCORES, learn, mark_site_lines
from filter.section_model import SectionModel
from filter.sections import mark_sections
from filter.segment import segment
from filter.site_limits import Decided, decided_sections, limit_for
from filter.training import data_folder, read_jsonl

STEPS = (25, 50, 100)
SECTION_STEPS = (10, 25)
MIN_DOCUMENTS = 20
"""As many must be left to score where sections are reviewed."""


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


@dataclass
class Filler:
    """Counts of characters: filler that was flagged, genuine text that was, filler that was not, all genuine text."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    genuine: int = 0

    def add(self, document: Document, gold: GoldDocument) -> None:
        flagged = [(span.start, span.end) for span in document.spans if span.label == "ai_padding"]
        for span in gold.spans:
            found = sum(max(0, min(end, span.end) - max(start, span.start)) for start, end in flagged)
            if span.label == "ai_padding":
                self.right += found
                self.missed += span.end - span.start - found
            elif span.label == "content":
                self.wrong += found
                self.genuine += span.end - span.start

    def plus(self, other: Filler) -> Filler:
        return Filler(
            self.right + other.right,
            self.wrong + other.wrong,
            self.missed + other.missed,
            self.genuine + other.genuine,
        )

    def row(self) -> dict[str, float]:
        precision = self.right / max(1, self.right + self.wrong)
        recall = self.right / max(1, self.right + self.missed)
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        return {"P": precision, "R": recall, "F1": f1, "loss": self.wrong / max(1, self.genuine)}


def section_sites(data: Path) -> dict[str, list[GoldDocument]]:
    """Return the labelled English documents by collection and domain, in an order of chance."""
    sites: dict[str, list[GoldDocument]] = defaultdict(list)
    labels = {"human": "content", "ai_padding": "ai_padding"}
    for row in read_jsonl(data_folder(data, "classify") / "dev.jsonl.gz"):
        if row["lang"] == "en" and row["generator"] != "spam":
            # Spam and tags are not scored here, nor reviewed.
            spans = [
                GoldSpan(s["start"], s["end"], labels[s["label"]], "en", frozenset())
                for s in row["spans"]
                if s["label"] in labels
            ]
            name = f"{row['source']}/{row['domain']}"
            sites[name].append(GoldDocument(row["id"], row["text"], tuple(spans), "https://site.example/"))
    for name, documents in sites.items():
        documents.sort(key=lambda gold: gold.id)
        random.Random(name).shuffle(documents)
    return dict(sorted(sites.items()))


def unseen_model(gold: GoldDocument) -> SectionModel:
    """Return a model that has seen neither the domain of a document nor one generator; see `adapters_classify`."""
    from benchmarks.adapters_classify import unseen_by_domain

    return unseen_by_domain(gold.text)


def learn_sections(data: Path, most: int) -> tuple[dict[int, Filler], str]:
    """Return what is found after so many sections were reviewed, over all sites, and in words how many it helped."""
    steps = [0, *(step for step in SECTION_STEPS if step < most), most]
    totals = {step: Filler() for step in steps}
    better = worse = sites = documents = 0
    for golds in section_sites(data).values():
        model = unseen_model(golds[0])
        listed = min(model.settings["threshold"]["en"], model.settings.get("review", {}).get("en", 0.0))
        decided: list[Decided] = []
        count = 0
        while len(decided) < most and count < len(golds):
            some = decided_sections(golds[count : count + 10], model, Config()).get(("site.example", "en"), [])
            decided += [section for section in some if section.odds >= listed]
            count += 10
        scored = golds[count:]
        if len(decided) < most or len(scored) < MIN_DOCUMENTS:
            continue
        sites += 1
        documents += len(scored)
        prepared = split_languages(clean([segment(Document(gold.text)) for gold in scored], Config()), Config())
        f1 = []
        for step in steps:
            limit = limit_for(decided[:step], model.settings["threshold"]["en"])
            site = Filler()
            for document, gold in zip(
                mark_sections(prepared, model, limits=[{"en": limit}] * len(prepared)), scored, strict=True
            ):
                site.add(document, gold)
            totals[step] = totals[step].plus(site)
            f1.append(site.row()["F1"])
        better += f1[-1] > f1[0]
        worse += f1[-1] < f1[0]
    return totals, f"{sites} sites, {documents:,} documents scored; F1 rose on {better}, fell on {worse}"


def chart(charts: Sequence[tuple[str, str, dict[int, float]]]) -> str:
    """Return a picture of F1 over what was reviewed: title, name of what was reviewed, F1 by how many, for each."""
    width, height, left, base = 520, 260, 60, 210
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height * len(charts)}" '
        f'font-family="system-ui, sans-serif" font-size="12">'
        f'<rect width="{width}" height="{height * len(charts)}" fill="white"/>'
    ]
    for number, (title, what, rows) in enumerate(charts):
        at, middle = height * number, (left + width) / 2
        low, high = min(rows.values()) - 0.01, max(rows.values()) + 0.01
        last = max(rows)
        places = [
            (left + (width - left - 40) * count / last, base - (base - 40) * (f1 - low) / (high - low))
            for count, f1 in rows.items()
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        dots = "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#2563eb"/>'
            f'<text x="{x:.1f}" y="{y - 10:.1f}" text-anchor="middle">{f1:.3f}</text>'
            f'<text x="{x:.1f}" y="{base + 20}" text-anchor="middle">{count}</text>'
            for (x, y), (count, f1) in zip(places, rows.items(), strict=True)
        )
        out.append(
            f'<g transform="translate(0 {at})"><text x="{left}" y="20" font-size="14">{escape(title)}</text>'
            f'<line x1="{left}" y1="{base}" x2="{width - 20}" y2="{base}" stroke="#888"/>'
            f'<polyline points="{line}" fill="none" stroke="#2563eb" stroke-width="2"/>{dots}'
            f'<text x="{middle:.0f}" y="{base + 40}" text-anchor="middle">{escape(what)} reviewed</text></g>'
        )
    return "".join([*out, "</svg>\n"])


def table(what: str, rows: dict[int, dict[str, float]], loss: str) -> str:
    body = [
        f"| {n} | {row['P']:.3f} | {row['R']:.3f} | {row['F1']:.3f} | {row['loss']:.2%} |" for n, row in rows.items()
    ]
    return "\n".join([f"| {what} reviewed | P | R | F1 | {loss} |", "| ---: | ---: | ---: | ---: | ---: |", *body])


def learn_lines(options: argparse.Namespace) -> tuple[dict[int, dict[str, float]], str]:
    """Return the figures after so many lines were reviewed, over all sites, and in words how many it helped."""
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
    said = f"{len(sites)} sites and views, {totals[0].pages:,} pages scored; F1 rose on {better}, fell on {worse}"
    return {lines: score.row() for lines, score in totals.items()}, said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=labelled, default=str(shared_dir() / "data"))
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--pages", type=int, default=4, help="that must be left to score")
    parser.add_argument("--views", default="trec,rmain,read,full")
    parser.add_argument("--profiles", action="store_true")
    parser.add_argument("--sections", type=int, default=50)
    parser.add_argument("--only", choices=("lines", "sections"))
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args()
    charts = []
    if options.only != "sections":
        rows, said = learn_lines(options)
        print(f"{said}\n\n{table('lines', rows, 'genuine characters lost')}\n", flush=True)
        charts.append(
            ("Boilerplate lines, F1 on the site's other pages", "lines", {n: r["F1"] for n, r in rows.items()})
        )
    if options.only != "lines":
        totals, said = learn_sections(options.data, options.sections)
        rows = {step: filler.row() for step, filler in totals.items()}
        print(f"{said}\n\n{table('sections', rows, 'genuine characters flagged')}")
        title = "Machine-written filler, F1 on the other documents"
        charts.append((title, "sections", {n: r["F1"] for n, r in rows.items()}))
    if options.svg:
        options.svg.write_text(chart(charts), encoding="utf-8")


if __name__ == "__main__":
    main()
