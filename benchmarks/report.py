"""What the report costs for many documents, how soon a browser shows it, and its picture.

    python -m benchmarks.report [--documents N]     # the figures
    python -m benchmarks.report --picture           # docs/report.png: the report on the five seeds

The documents are the records of the seeds under other names, on other sites, and removed by more rules than there are.
Both need Chromium and Playwright (`pip install -e ".[dev]"`); TEXTSIEVE_CHROMIUM names the browser if it is not in the
path.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import ROOT
from tests.browser import open_browser


def _textsieve(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "filter", *map(str, arguments)], check=True, cwd=ROOT)


def _seeds(out: Path) -> None:
    _textsieve("run", *sorted((ROOT / "seeds").glob("*.txt")), "-o", out)


def _enlarge(out: Path, records: list[dict[str, Any]], documents: int) -> None:
    """Put many documents in the place of the five, each a record of theirs."""
    rng = random.Random(0)
    with (out / "documents.jsonl").open("w", encoding="utf-8") as file:
        for number in range(documents):
            record = dict(records[number % len(records)])
            name = f"document-{number}"
            url = f"https://site-{int(rng.paretovariate(0.5)) % 20000}.example/{number}"
            record.update(id=name, parent=name, siblings=[], url=url, translation_of=None, translation_score=None)
            for span in (spans := [dict(span) for span in record["removed"]]):
                span["source"] = rng.choice((span["source"], f"rule:mine/{int(rng.paretovariate(0.4)) % 100000}"))
            record["removed"] = spans
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    (out / "summary.json").write_text(json.dumps({**summary, "documents": documents}), encoding="utf-8")


def figures(documents: int) -> None:
    """Print what the report costs."""
    with tempfile.TemporaryDirectory() as folder:
        out, page = Path(folder, "out"), Path(folder, "report.html")
        _seeds(out)
        records = [json.loads(line) for line in (out / "documents.jsonl").read_text(encoding="utf-8").splitlines()]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for count in (documents // 10, documents):
            _enlarge(out, records, count)
            size = (out / "documents.jsonl").stat().st_size
            code = (
                "import resource, sys; from filter.command import main; main(sys.argv[1:]); "
                "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
            )
            command = [sys.executable, "-c", code, "report", str(out), "-o", str(page), "--force"]
            said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            before = after
            print(
                f"{count:,} documents, {size / 1e6:,.0f} MB of records: {cpu_s:.0f} s of CPU time, {said.strip()} MiB, "
                f"page of {page.stat().st_size / 1e6:.1f} MB"
            )
        with open_browser() as browser:
            tab = browser.new_page()
            started = time.monotonic()
            tab.goto(page.as_uri(), wait_until="load")
            print(f"shown and searchable in Chromium after {time.monotonic() - started:.1f} s")


def picture(target: Path) -> None:
    """Write the picture of the report on the seeds."""
    with tempfile.TemporaryDirectory() as folder:
        out, page = Path(folder, "seeds"), Path(folder, "report.html")
        _seeds(out)
        _textsieve("report", out, "-o", page)
        with open_browser() as browser:
            tab = browser.new_page(viewport={"width": 1100, "height": 900})
            tab.goto(f"{page.as_uri()}#group=flagged%3A+AI+padding")
            tab.locator("mark .tag").first.focus()
            tab.screenshot(path=str(target))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000, metavar="N")
    parser.add_argument("--picture", action="store_true")
    options = parser.parse_args()
    if options.picture:
        picture(ROOT / "docs" / "report.png")
    else:
        figures(options.documents)


if __name__ == "__main__":
    main()
