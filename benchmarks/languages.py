"""More about the language splitter: speed, memory, close languages, mixes of unusual languages, and its settings.

    python -m benchmarks.languages speed|memory|confusion|mixes|settings [--data ../shared/data] [--adapter NAME]

- speed: MB/s of CPU time on the labelled documents in batches, and on texts in one language each (what the section
  classifier's data calls genuine, most of it English; news in 39 languages). Adapters are functions of
  benchmarks.adapters_lang; all but the package's own work text by text.
- memory: what the detectors add to a process that has loaded NumPy and SciPy, and how long they take to load.
- confusion: which language each of some close ones is taken for, by lines alone and by whole articles.
- mixes: documents put together from the one-language ones, of languages drawn evenly: what few sites ever mix.
- settings: five times, chooses some of the splitter's settings on four fifths of the documents and scores the rest.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import importlib.util
import json
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from itertools import product

from benchmarks import labelled, shared_dir

CLOSE = (
    ("es", "pt", "gl", "ca"),
    ("no", "da", "sv"),
    ("cs", "sk"),
    ("sr", "hr", "bs", "sl"),
    ("id", "ms"),
    ("uk", "ru", "bg", "be"),
    ("fa", "ar", "ur", "ps"),
    ("zh", "ja"),
)
GRID = {
    "min_gain": (7.5, 6.0, 9.0),
    "name_weight": (0.5, 0.35, 0.65),
    "switch": ((2.5, 2.0, 6.0), (2.0, 1.6, 4.8), (3.0, 2.4, 7.2)),
}
"""The settings in use come first, and win where others are no better."""
FOLDS = 5
MAX_SECONDS = 20


def read(data):
    lines = (data / "lang" / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def genuine(data, count=600):
    with gzip.open(data / "classify" / "dev_human.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    random.Random(0).shuffle(rows)
    return [row["text"] for row in rows[:count]]


def speed(data, name):
    """Return MB/s on each collection, the best of three times; a slow peer gets so many seconds and no more."""
    from benchmarks import adapters_lang
    from filter import Config, Document
    from filter.language import split_languages
    from filter.segment import segment

    rows = read(data)
    collections = {
        "MB/s": [row["text"] for row in rows],
        "genuine texts": genuine(data),
        "news in 39 languages": [row["text"] for row in rows if row["kind"] == "mono"],
    }
    function = getattr(adapters_lang, name)
    function("Warm up: this is one line of English text.\nY otra de español para empezar.")
    result = {}
    for collection, texts in collections.items():
        best = 0.0
        documents = [segment(Document(text)) for text in texts]
        for _ in range(3):
            size, start = 0, time.process_time()
            if name == "ours":
                split_languages(documents, Config())
                size = sum(len(text.encode()) for text in texts)
            else:
                for text in texts:
                    function(text)
                    size += len(text.encode())
                    if time.process_time() - start > MAX_SECONDS:
                        break
            spent = time.process_time() - start
            best = max(best, size / 1e6 / spent)
            if spent > MAX_SECONDS / 4:
                break
        result[collection] = round(best, 3)
    return result


_MEMORY = """
import resource, sys, time
import numpy, scipy.sparse
def now():
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
before, start = now(), time.process_time()
from filter.language import split
split("Det var en gang.\\nThere was once a king. He said: one, two, three.\\n")
from filter import detectors
detectors.fasttext("There was once"), detectors.cld2("There was once")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{now() - before:.0f} MiB more than {before:.0f}, at most {peak:.0f} on the way; "
      f"loaded in {time.process_time() - start:.2f} s of CPU time")
"""


def memory():
    print(
        "detectors:",
        subprocess.run([sys.executable, "-c", _MEMORY], check=True, capture_output=True, text=True).stdout,
        end="",
    )


def split_all(texts):
    """Return the stretches of each text, as `split` does, but in batches."""
    from filter import Config, Document
    from filter.language import split_languages
    from filter.segment import segment

    documents = split_languages([segment(Document(text)) for text in texts], Config())
    return [_stretches(document) for document in documents]


def _stretches(document):
    found = []
    for span in document.spans:
        if found and (span.lang in ("zxx", found[-1][2]) or found[-1][2] == "zxx"):
            start, _, lang = found.pop()
            found.append((start, span.end, lang if lang != "zxx" else span.lang))
        else:
            found.append((span.start, span.end, span.lang))
    return found


def confusion(data):
    lines, articles = defaultdict(set), defaultdict(set)
    for row in read(data):
        for lang in {span["lang"] for span in row["spans"]} if row["kind"] != "tail" else ():
            parts = [row["text"][s["start"] : s["end"]] for s in row["spans"] if s["lang"] == lang]
            articles[lang].add("\n".join(parts))
            lines[lang].update(line.strip() for part in parts for line in part.split("\n") if len(line.strip()) >= 20)
    for group in CLOSE:
        print(f"\n| written in | lines | {' | '.join(group)} | other | articles right |")
        print("|---|---:" + "|---:" * (len(group) + 2) + "|")
        for lang in group:
            if not lines[lang]:
                continue
            texts = sorted(lines[lang])
            taken = Counter(max(found, key=lambda s: s[1] - s[0])[2] for found in split_all(texts))
            cells = [f"{100 * taken[other] / len(texts):.1f}" for other in group]
            cells.append(f"{100 * sum(taken[name] for name in taken if name not in group) / len(texts):.1f}")
            whole = sorted(articles[lang])
            right = sum({tag for *_, tag in found} - {"zxx"} == {lang} for found in split_all(whole))
            print(f"| {lang} | {len(texts)} | {' | '.join(cells)} | {right} of {len(whole)} |")


def mixed(rows, seed=0):
    """Return documents of each kind, put together from lines of one-language news."""
    chance = random.Random(seed)
    pool = defaultdict(list)
    for row in rows:
        if row["kind"] in ("mono", "mono_wide"):
            lines = [line.strip() for line in row["text"].split("\n")]
            pool[row["spans"][0]["lang"]].append([line for line in lines if len(line) >= 20])
    close = [pair for group in CLOSE for pair in product(group, group) if pair[0] != pair[1] and {*pair} <= {*pool}]

    def some(lang, least, most):
        lines = chance.choice(pool[lang])
        count = chance.randint(least, most)
        first = chance.randrange(max(1, len(lines) - count))
        return [(line, lang) for line in lines[first : first + count]]

    def document(kind, pieces, marks=("\n",)):
        text, spans = "", []
        for number, (piece, lang) in enumerate(pieces):
            text += marks[(number - 1) % len(marks)] if number else ""
            spans.append({"start": len(text), "end": len(text) + len(piece), "lang": lang})
            text += piece
        return {"kind": kind, "text": text, "spans": spans}

    for _ in range(200):
        a, b, c = chance.sample(sorted(pool), 3)
        yield document("two articles", some(a, 3, 8) + some(b, 3, 8))
        yield document("a tail of 1–3 lines", some(a, 5, 12) + [(line[:110], lang) for line, lang in some(b, 1, 3)])
        yield document("three languages", some(a, 2, 5) + some(b, 2, 5) + some(c, 2, 5))
        turns = list(zip(some(a, 6, 6), some(b, 6, 6), strict=False))
        yield document("lines in turn", [line for pair in turns for line in pair])
        mark = chance.choice((" — ", " / ", " | ", "\t"))
        yield document("two columns", [(line[:150], lang) for pair in turns for line, lang in pair], (mark, "\n"))
        a, b = chance.choice(close)
        yield document("close languages", some(a, 4, 8) + some(b, 4, 8))
        yield document("one language", some(c, 1, 6))


def scorer(data):
    path = data.parent / "eval" / "score_lang.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.score_doc


def mixes(data):
    from filter import detectors

    score = scorer(data)
    documents = list(mixed(read(data)))
    known = set(detectors.naive_bayes().languages)
    rows = defaultdict(list)
    for document, found in zip(documents, split_all([document["text"] for document in documents]), strict=True):
        result = score(document["text"], document["spans"], found)
        is_known = {span["lang"] for span in document["spans"]} <= known
        rows[document["kind"], is_known].append((result["part"], result["split_ok"]))
    print("| documents | languages | number | cut right | cut and named right |\n|---|---|---:|---:|---:|")
    for (kind, is_known), results in sorted(rows.items(), key=lambda row: (not row[0][1], row[0][0])):
        cut, named = (sum(column) / len(results) for column in zip(*results, strict=True))
        print(f"| {kind} | {'known' if is_known else 'some unknown'} | {len(results)} | {cut:.3f} | {named:.3f} |")


def settings(data):
    from filter import language

    score = scorer(data)
    documents = read(data)
    texts = [row["text"] for row in documents]
    usual, detect = language._TUNINGS["mixture"], language._scores
    detected, judged = {}, {}

    def scores(units, choice):
        key = tuple(units)
        if key not in detected:
            detected[key] = detect(units, choice)
        languages, found = detected[key]
        return languages, found.copy()  # they are weighed in place

    def is_good(number, found):
        key = number, tuple(found)
        if key not in judged:
            row = documents[number]
            result = score(row["text"], row["spans"], found)
            # In a document of one language, a wrong name is no fault of these settings.
            judged[key] = result["split_ok"] if result["nlang"] > 1 else not result["false_split"]
        return judged[key]

    # What the detectors say does not depend on the settings, and most documents are cut alike under all of them.
    good = {}
    language._scores = scores
    try:
        for values in product(*GRID.values()):
            language._TUNINGS["mixture"] = usual._replace(**dict(zip(GRID, values, strict=True)))
            good[values] = [is_good(number, found) for number, found in enumerate(split_all(texts))]
    finally:
        language._TUNINGS["mixture"], language._scores = usual, detect
    is_mixed = [row["nlang"] > 1 for row in documents]

    def shares(values, rows):
        both = [[good[values][row] for row in rows if is_mixed[row] == wanted] for wanted in (True, False)]
        return [sum(hits) / len(hits) for hits in both]

    order = list(range(len(documents)))
    random.Random(0).shuffle(order)
    held = [0, 0]
    for fold in range(FOLDS):
        inside, outside = order[fold::FOLDS], [row for at, row in enumerate(order) if at % FOLDS != fold]
        best = max(good, key=lambda values: sum(shares(values, outside)))  # the first of equals
        print(
            f"fold {fold + 1}: {best}, split right {shares(best, inside)[0]:.4f}, "
            f"left whole {shares(best, inside)[1]:.4f}"
        )
        for row in inside:
            held[is_mixed[row]] += good[best][row]
    print(
        f"held out: split right {held[1] / sum(is_mixed):.4f}, left whole {held[0] / (len(order) - sum(is_mixed)):.4f}"
    )
    first = next(iter(good))
    everything = [sum(shares(values, order)) / 2 for values in good]
    print(f"settings in use: split right {shares(first, order)[0]:.4f}, left whole {shares(first, order)[1]:.4f}")
    print(f"mean of both over all {len(good)} settings: {min(everything):.4f} to {max(everything):.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "memory", "confusion", "mixes", "settings"])
    parser.add_argument("--data", type=labelled, default=str(shared_dir() / "data"))
    parser.add_argument("--adapter", default="ours", help="for speed: a function of benchmarks.adapters_lang")
    arguments = parser.parse_args()
    if arguments.what == "memory":
        memory()
    elif arguments.what == "speed":
        print(json.dumps(speed(arguments.data, arguments.adapter)))
    else:
        {"confusion": confusion, "mixes": mixes, "settings": settings}[arguments.what](arguments.data)


if __name__ == "__main__":
    main()
