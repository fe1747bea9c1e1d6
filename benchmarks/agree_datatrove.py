"""Compare the measures of filter.quality with datatrove's own numbers on the same documents.

    python -m benchmarks.agree_datatrove --datatrove PYTHON [--data ../shared/data] [--limit 1000] [--write]

For each measure: the share of documents for which both give the same number, the correlation, the mean difference, and
the share of documents on the same side of the limit that datatrove sets. Line measures are the same by definition;
those of words differ by what a word is (see filter/quality.py). Documents without a letter are left out: datatrove has
no number for them. --write makes tests/cases/quality.jsonl anew, from texts written for the purpose and the seeds.
PYTHON is that of an environment with `pip install "datatrove[io,processing]" spacy`; or set TEXTSIEVE_DATATROVE.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import ROOT, labelled, shared_dir
from benchmarks.throughput import corpus
from filter.quality import measures

LIMITS = {
    "words": 50,
    "hash_rate": 0.1,
    "ellipsis_rate": 0.1,
    "bullet_line_share": 0.9,
    "ellipsis_line_share": 0.3,
    "letter_word_share": 0.8,
    "stop_words": 1.5,
    "repeated_line_share": 0.3,
    "repeated_line_char_share": 0.2,
    "repeated_paragraph_share": 0.3,
    "repeated_paragraph_char_share": 0.2,
    "top_2_gram_char_share": 0.2,
    "top_3_gram_char_share": 0.18,
    "top_4_gram_char_share": 0.16,
    **{f"repeated_{n}_gram_char_share": (20 - n) / 100 for n in range(5, 11)},
    "c4_sentences": 4.5,
    "curly_brackets": 0.5,
    "terminal_line_share": 0.12,
    "short_line_share": 0.67,
    "repeated_filled_line_char_share": 0.01,
    "line_break_rate": 0.3,
}
TEXTS = [
    "The court met on Monday. It's not clear who paid.\n\nThe court met again on Tuesday, and nothing was said.\n",
    "Buy now\nBuy now\nRead our story about the flood, which rose two metres overnight.\nBuy now\n\nBuy now\n",
    "to be or not to be to be or not to be to be or not to be that is the question they have with the of and",
    "- one\n- two\n• three\n- four...\n",
    "We use cookies on this site.\nThe mayor resigned after the vote.[3]\nPlease enable JavaScript now.\nShort one.\n",
    "# # # tag #tag #one #two … and so on ... and on\n\n\nfunction () { return 1; }\nlorem ipsum dolor sit amet\n",
    "Цены выросли на треть.\nВласти обещали разобраться, говорят жители…\nЦены выросли на треть.\n",
    "Der Bürgermeister trat zurück!\nWarum? Das weiß niemand.\n\nDer Bürgermeister trat zurück!\n\nDas war alles",
    " ".join(f"the price of item {n % 3} rose by {n}.5 percent, he said," for n in range(40)),
    "A line that stands here once and is of some length.\n" * 6 + "And the end of it all.",
]


def theirs(python, texts):
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.jsonl", Path(folder) / "out.jsonl"
        source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        script = ROOT / "benchmarks" / "peer_datatrove.py"
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [python, str(script), "measure", str(source), str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            sys.exit(f"datatrove failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        return [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=labelled, default=str(shared_dir() / "data"))
    parser.add_argument("--datatrove", default=os.environ.get("TEXTSIEVE_DATATROVE"), metavar="PYTHON")
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if not arguments.datatrove:
        parser.error("name the Python of an environment with datatrove: --datatrove, or TEXTSIEVE_DATATROVE")
    if arguments.write:
        texts = TEXTS + [path.read_text(encoding="utf-8") for path in sorted((ROOT / "seeds").glob("*.txt"))]
        seeds = [None] * len(TEXTS) + [path.name for path in sorted((ROOT / "seeds").glob("*.txt"))]
        with (ROOT / "tests" / "cases" / "quality.jsonl").open("w", encoding="utf-8") as out:
            for number, (text, seed, row) in enumerate(
                zip(texts, seeds, theirs(arguments.datatrove, texts), strict=True)
            ):
                case = {"id": seed or f"text {number}"} | ({"seed": seed} if seed else {"text": text})
                expected = {name: round(value, 6) for name, value in row.items()}
                out.write(json.dumps(case | {"expected": expected}, ensure_ascii=False) + "\n")
        return
    texts = [text for text in corpus(arguments.data, arguments.limit) if any(map(str.isalpha, text))]
    rows, ours = theirs(arguments.datatrove, texts), measures(texts)
    print(f"{len(texts)} documents\n")
    print("| measure | same number | correlation | mean difference | same side of the limit |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in rows[0]:
        theirs_, ours_ = np.array([row[name] for row in rows], dtype=float), ours[name]
        same = np.mean(np.isclose(theirs_, ours_, rtol=1e-9, atol=1e-12))
        varies = theirs_.std() > 0 and ours_.std() > 0
        correlation = f"{np.corrcoef(theirs_, ours_)[0, 1]:.4f}" if varies else "–"
        limit = LIMITS.get(name)
        side = f"{np.mean((theirs_ > limit) == (ours_ > limit)):.2%}" if limit is not None else "–"
        print(f"| {name} | {same:.1%} | {correlation} | {np.abs(theirs_ - ours_).mean():.5f} | {side} |")


if __name__ == "__main__":
    main()
