"""Score the package and its peers on the labelled data, side by side in one run.

    python -m benchmarks.run [clean|full|html|classify|lang ...] [--data ../shared/data] [--limit N]

Each row is one run of a script in DATA/../eval against an adapter; `cross-validated` means that no document is judged
by a model that has seen its site (clean) or its story (classify). Prints Markdown, and writes docs/quality.json. Peers
that are not installed are left out with a word; `pip install -e ".[bench]"` installs them (with pip 24 or later).
datatrove needs an environment of its own, `pip install "datatrove[io,processing]" spacy`: TEXTSIEVE_DATATROVE, or
--datatrove, names its Python.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import ROOT, labelled, shared_dir

# table: (script and arguments, [(name, adapter)])
TABLES = {
    "clean": (
        ["score_clean.py", "text", "--views", "trec,rmain,read"],
        [
            ("C4 line rules", "benchmarks.peers_clean:c4_lines"),
            ("C4 line rules, datatrove's", "benchmarks.peers_clean:c4_datatrove"),
            ("RefinedWeb-style line rules", "benchmarks.peers_clean:refinedweb_lines"),
            ("winnow-md, most aggressive", "benchmarks.peers_clean:winnow"),
            ("rules alone", "benchmarks.adapters_clean_rules:clean"),
            ("line model alone, balanced (cross-validated)", "benchmarks.adapters_clean:lines_cv"),
            ("textsieve, gentle (cross-validated)", "benchmarks.adapters_clean:clean_cv"),
            ("textsieve, balanced (cross-validated)", "benchmarks.adapters_clean:clean_cv"),
            ("textsieve, strict (cross-validated)", "benchmarks.adapters_clean:clean_cv"),
        ],
    ),
    "full": (
        ["score_clean.py", "text", "--views", "full"],
        [
            ("C4 line rules", "benchmarks.peers_clean:c4_lines"),
            ("RefinedWeb-style line rules", "benchmarks.peers_clean:refinedweb_lines"),
            ("textsieve, balanced (cross-validated)", "benchmarks.adapters_clean:clean_cv"),
        ],
    ),
    "html": (
        ["score_clean.py", "html"],
        [
            ("all text, C4 line rules", "benchmarks.peers_clean:c4_html"),
            ("jusText, English list", "benchmarks.peers_clean:justext_good"),
            ("readability-lxml", "benchmarks.peers_clean:readability"),
            ("resiliparse, main content", "benchmarks.peers_clean:resiliparse_main"),
            ("boilerpy3, articles", "benchmarks.peers_clean:boilerpy3"),
            ("trafilatura and RefinedWeb-style line rules", "benchmarks.peers_clean:refinedweb_html"),
            ("trafilatura, precision", "benchmarks.peers_clean:trafilatura_precision"),
            ("trafilatura, fast", "benchmarks.peers_clean:trafilatura_fast"),
            ("trafilatura, recall", "benchmarks.peers_clean:trafilatura_recall"),
            ("trafilatura, default", "benchmarks.peers_clean:trafilatura_default"),
            ("textsieve (cross-validated)", "benchmarks.adapters_html:html"),
            ("textsieve, --extractor resiliparse (cross-validated)", "benchmarks.adapters_html:html"),
        ],
    ),
    "classify": (
        ["score_classify.py"],
        [
            ("phrase list", "benchmarks.adapters_classify:phrase_list"),
            ("word 1–2-grams + logistic regression (cross-validated)", "benchmarks.adapters_classify:word_lr"),
            ("datatrove: Gopher repetition", "benchmarks.adapters_classify:datatrove_repetition"),
            ("datatrove: Gopher quality", "benchmarks.adapters_classify:datatrove_gopher"),
            ("datatrove: C4", "benchmarks.adapters_classify:datatrove_c4"),
            ("datatrove: FineWeb", "benchmarks.adapters_classify:datatrove_fineweb"),
            ("datatrove: any of the four", "benchmarks.adapters_classify:datatrove_all"),
            ("textsieve (cross-validated by story)", "benchmarks.adapters_classify:cv"),
            ("textsieve (one generator, one domain left out)", "benchmarks.adapters_classify:logo"),
        ],
    ),
    "lang": (
        ["score_lang.py"],
        [
            ("langdetect, per line", "benchmarks.adapters_lang:langdetect_lines"),
            ("py3langid, per line", "benchmarks.adapters_lang:py3langid_lines"),
            ("fastText, per line", "benchmarks.adapters_lang:fasttext_lines"),
            ("pycld2, per line", "benchmarks.adapters_lang:pycld2_lines"),
            ("pycld2, its vectors", "benchmarks.adapters_lang:pycld2_vectors"),
            ("lingua, per line", "benchmarks.adapters_lang:lingua_lines"),
            ("lingua, its own stretches", "benchmarks.adapters_lang:lingua_multiple"),
            ("textsieve, `--detector langdetect`", "benchmarks.adapters_lang:langdetect"),
            ("textsieve", "benchmarks.adapters_lang:ours"),
        ],
    ),
}


def row_clean(result):
    (group,) = (result["groups"][key] for key in ("ALL extractor output", "ALL full") if key in result["groups"])
    cells = {column: group[column] for column in ("P", "R", "F1", "loss", "harmed")}
    return cells | {"lines/s": round(result["lines_per_s"])}


def row_html(result):
    all_, news = result["groups"]["ALL"], result["groups"].get("src fundus", {})
    cells = {column: all_[column] for column in ("P", "R", "F1")}
    return cells | {
        "news of 2023–26 F1": news.get("F1"),
        "CPU s / 1,000 pages": round(1000 * result["cpu"] / result["pages"], 1),
    }


def row_classify(result):
    english, news, summary = result["ai en, all"], result["ai en, news"], result["summary"]
    return {
        "AUC": english["auc"],
        "TPR": english["own_tpr"],
        "TPR news": news["own_tpr"],
        "section FPR": summary["section_fpr"],
        "genuine docs flagged": summary["pure_human_doc_fpr"],
        "spam + tags TPR": result["spam+seo_tags, all"]["own_tpr"],
        "boundary p90": summary["boundary_p90"],
        "MB/s": summary["mb_per_s"],
    }


def row_lang(result):
    cells = {"split_ok": result["MIXED"]["split_ok"]}
    for kind in ("block", "alternate", "inline", "tail"):
        cells[kind] = result[kind]["split_ok"]
    cells["b ≤ 3"] = result["MIXED"]["b_le3"]
    cells["false split, core"] = result["MONO_CORE"]["false_split"]
    cells["wide"] = result["mono_wide"]["false_split"]
    cells["UDHR"] = result["mono_udhr"]["false_split"]
    return cells | {"MB/s one by one": result["speed"]["MB_s"]} | result["batches"]


ROWS = {"clean": row_clean, "full": row_clean, "html": row_html, "classify": row_classify, "lang": row_lang}


def score(data, script, name, adapter, limit):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "scores.json"
        command = [
            sys.executable,
            "-W",
            "ignore",
            str(data.parent / "eval" / script[0]),
            *script[1:],
            adapter,
            "--json",
            str(out),
        ]
        command += ["--limit", str(limit)] if limit else []
        # The scripts call a function of the text alone, so options are told by the environment.
        preset = next((preset for preset in ("gentle", "balanced", "strict") if preset in name), "balanced")
        extractor = "resiliparse" if "--extractor resiliparse" in name else "trafilatura"
        environment = os.environ | {
            "TEXTSIEVE_DATA": str(data.parent),
            "TEXTSIEVE_PRESET": preset,
            "TEXTSIEVE_EXTRACTOR": extractor,
        }
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            return None, (done.stderr.strip().splitlines() or ["no message"])[-1]
        result = json.loads(out.read_text(encoding="utf-8"))
        if script[0] == "score_lang.py":
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.languages", "speed", "--data", str(data)]
            command += ["--adapter", adapter.partition(":")[2]]
            speed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=environment)
            result["batches"] = json.loads(speed.stdout)
        return result, None


def show(value):
    return (
        "–"
        if value is None or value != value
        else f"{value:.4f}".rstrip("0").rstrip(".")
        if isinstance(value, float)
        else str(value)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", choices=[[], *TABLES], default=[])
    parser.add_argument(
        "--data", type=labelled, default=str(shared_dir() / "data"), help="labelled data; scripts in ../eval"
    )
    parser.add_argument("--datatrove", metavar="PYTHON", help="that of the environment with datatrove")
    parser.add_argument("--limit", type=int, default=0, help="documents per run, for a quick look")
    parser.add_argument("--only", default="", help="run only the rows whose name holds this")
    arguments = parser.parse_args()
    if arguments.datatrove:
        os.environ["TEXTSIEVE_DATATROVE"] = arguments.datatrove
    written = ROOT / "docs" / "quality.json"
    figures = {}
    for table in arguments.tables or TABLES:
        script, rows = TABLES[table]
        header = None
        for name, adapter in rows:
            if arguments.only not in name:
                continue
            result, problem = score(arguments.data.resolve(), script, name, adapter, arguments.limit)
            if result is None:
                print(f"({name}: left out: {problem})", file=sys.stderr)
                continue
            cells = ROWS[table](result)
            if name.startswith("datatrove"):
                cells["MB/s"] = None  # it works in another process; benchmarks.throughput measures it
            if header is None:
                header = list(cells)
                print(f"\n| {table} | " + " | ".join(header) + " |\n|---" * 1 + "|---:" * len(header) + "|")
            print(f"| {name} | " + " | ".join(show(cells.get(column)) for column in header) + " |", flush=True)
            figures.setdefault(table, {})[name] = cells
    if not arguments.limit:
        # Read only now: another run may have written other tables meanwhile.
        before = json.loads(written.read_text(encoding="utf-8")) if written.exists() else {}
        figures = before | {table: before.get(table, {}) | rows for table, rows in figures.items()}
        written.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
