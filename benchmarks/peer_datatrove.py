"""datatrove's four filters for texts: Gopher repetition, Gopher quality, C4 and FineWeb, with their own defaults.

    PYTHON benchmarks/peer_datatrove.py chain   IN.jsonl FOLDER      # as people run them: reader, filters, writer
    PYTHON benchmarks/peer_datatrove.py judge   IN.jsonl OUT.jsonl [FILTER...]   # what each says of each text
    PYTHON benchmarks/peer_datatrove.py measure IN.jsonl OUT.jsonl   # the numbers that they compare with their limits
    PYTHON benchmarks/peer_datatrove.py lines                        # from text to text: which lines C4 keeps

PYTHON is that of an environment with `pip install "datatrove[io,processing]" spacy`, whose dependencies are too many to
share ours; so this file imports nothing of this project. It was written for datatrove 0.10.
"""

import json
import sys
import tempfile
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)

FILTERS = {
    "gopher_repetition": GopherRepetitionFilter,
    "gopher_quality": GopherQualityFilter,
    "c4_quality": C4QualityFilter,
    "fineweb_quality": FineWebQualityFilter,
}


def chain(source, folder):
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    with tempfile.TemporaryDirectory() as logs:
        LocalPipelineExecutor(
            pipeline=[
                JsonlReader(str(source.parent), glob_pattern=source.name),
                *(filter_() for filter_ in FILTERS.values()),
                JsonlWriter(str(folder), compression=None),
            ],
            tasks=1,
            workers=1,
            logging_dir=logs,
        ).run()


def judge(text, filters):
    """Return, for each filter, why it drops the text, or None. C4 rewrites a text, so each gets its own copy."""
    reasons = {}
    for name, filter_ in filters.items():
        try:
            answer = filter_.filter(Document(text=text, id="0"))
        except ZeroDivisionError:  # no word, or no line: what is worth nothing
            answer = (False, "empty")
        reasons[name] = answer[1] if isinstance(answer, tuple) and not answer[0] else None
    return reasons


def measure(text):
    """Return the numbers; the formulas stand inside the filters, so the lines that matter are repeated here."""
    import re

    from datatrove.pipeline.filters.c4_filters import END_PUNCTUATION
    from datatrove.pipeline.filters.gopher_quality_filter import STOP_WORDS
    from datatrove.pipeline.filters.gopher_repetition_filter import (
        find_all_duplicate,
        find_duplicates,
        find_top_duplicate,
        get_n_grams,
    )
    from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION, split_into_sentences, split_into_words

    words = split_into_words(text)
    lines = re.split("\n+", text)
    paragraphs = re.split("\n{2,}", text.strip())
    filled = [line for line in text.split("\n") if line.strip()]
    split = text.splitlines()
    real = [word for word in words if any(char not in PUNCTUATION_SET for char in word)]
    c4 = C4QualityFilter(min_num_sentences=-1, filter_curly_bracket=False, filter_lorem_ipsum=False)
    kept = Document(text=text, id="0")
    c4.filter(kept)
    kept_lines = kept.text.split("\n") if kept.text else []
    repeated_lines, repeated_paragraphs = find_duplicates(lines), find_duplicates(paragraphs)
    numbers = {
        "words": len(real),
        "mean_word_chars": sum(map(len, real)) / max(1, len(real)),
        "repeated_line_share": repeated_lines[0] / len(lines),
        "repeated_line_char_share": repeated_lines[1] / len(text),
        "repeated_paragraph_share": repeated_paragraphs[0] / len(paragraphs),
        "repeated_paragraph_char_share": repeated_paragraphs[1] / len(text),
        "hash_rate": text.count("#") / max(1, len(words)),
        "ellipsis_rate": (text.count("...") + text.count("…")) / max(1, len(words)),
        "bullet_line_share": sum(line.lstrip().startswith(("•", "-")) for line in split) / max(1, len(split)),
        "ellipsis_line_share": sum(line.rstrip().endswith(("...", "…")) for line in split) / max(1, len(split)),
        "letter_word_share": sum(any(map(str.isalpha, word)) for word in words) / max(1, len(words)),
        "stop_words": len(set(STOP_WORDS).intersection(words)),
        "sentence_line_share": sum(
            line.strip().endswith(END_PUNCTUATION) and not line.strip().endswith("...") for line in split
        )
        / max(1, len(split)),
        "c4_kept_line_share": len(kept_lines) / max(1, len(split)),
        "c4_sentences": sum(len(split_into_sentences(line)) for line in kept_lines),
        "curly_brackets": text.count("{"),
        "lorem_ipsum": text.lower().count("lorem ipsum"),
        "terminal_line_share": sum(line.endswith(tuple(TERMINAL_PUNCTUATION)) for line in filled) / max(1, len(filled)),
        "short_line_share": sum(len(line) <= 30 for line in filled) / max(1, len(filled)),
        "repeated_filled_line_char_share": find_duplicates(filled)[1] / max(1, len(text.replace("\n", ""))),
        "line_break_rate": text.count("\n") / max(1, len(words)),
    }
    for n in (2, 3, 4):
        grams = get_n_grams(words, n)
        numbers[f"top_{n}_gram_char_share"] = find_top_duplicate(grams) / len(text) if grams else 0.0
    for n in range(5, 11):
        numbers[f"repeated_{n}_gram_char_share"] = find_all_duplicate(words, n) / len(text)
    return numbers


def serve_lines():
    """Answer each text on standard input, in JSON, with a list of truths: whether the filter keeps each line."""
    c4 = C4QualityFilter(min_num_sentences=-1, filter_curly_bracket=False, filter_lorem_ipsum=False)

    def keeps(line):
        document = Document(text=line, id="0")
        c4.filter(document)
        return bool(document.text)

    for row in sys.stdin:
        print(json.dumps([bool(line.strip()) and keeps(line) for line in json.loads(row).split("\n")]), flush=True)


def main():
    if sys.argv[1] == "lines":
        serve_lines()
        return
    what, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if what == "chain":
        chain(source, target)
        return
    filters = {name: FILTERS[name]() for name in sys.argv[4:] or FILTERS}
    with source.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as out:
        for line in lines:
            text = json.loads(line)["text"]
            answer = judge(text, filters) if what == "judge" else measure(text)
            out.write(json.dumps(answer) + "\n")
            out.flush()  # someone may be waiting for it


if __name__ == "__main__":
    main()
