"""What others do with the same texts and pages, for the comparison in run.py.

The line rules are written anew from the papers that describe them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from functools import lru_cache

from benchmarks import ROOT

# Raffel et al. 2020, section 2.2 ("C4"): a line stays if it ends in a terminal mark and has five words, and if it holds
# none of these words.
_C4_WORDS = re.compile(
    r"javascript|terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies", re.I
)
# Penedo et al. 2023, appendix G.2 ("RefinedWeb"): line-wise corrections.
_RW_NUMERIC = re.compile(r"[\d\s.,:/%-]+")
_RW_COUNTER = re.compile(
    r"[\d.,]+\s*[kKmM]?\s*(likes?|shares?|comments?|retweets?|reposts?|quotes?|bookmarks?|upvotes?|downvotes?|views?|followers?|items?)",
    re.I,
)
_RW_SHORT = re.compile(
    r"^(sign-?\s?in|log-?\s?in|sign-?\s?up)\b|(read more|\.\.\.)$|items? in cart|view (all|more)|follow us", re.I
)


def _kept(text, keeps):
    spans, at = [], 0
    for line in text.split("\n"):
        if keeps(line.strip()):
            spans.append((at, at + len(line)))
        at += len(line) + 1
    return spans


def c4_lines(text):
    def keeps(line):
        return line.endswith((".", "!", "?", '"', "”")) and len(line.split()) >= 5 and not _C4_WORDS.search(line)

    return _kept(text, keeps)


def refinedweb_lines(text):
    def keeps(line):
        words = line.split()
        upper = sum(map(str.isupper, line)) > 0.5 * max(1, sum(map(str.isalpha, line)))
        return not (
            len(words) <= 1
            or upper
            or _RW_NUMERIC.fullmatch(line)
            or _RW_COUNTER.fullmatch(line)
            or (len(words) <= 10 and _RW_SHORT.search(line))
        )

    return _kept(text, keeps)


@lru_cache(maxsize=1)
def _datatrove():
    python = os.environ.get("TEXTSIEVE_DATATROVE")
    if not python:
        raise RuntimeError("name the Python of an environment with datatrove in TEXTSIEVE_DATATROVE")
    script = str(ROOT / "benchmarks" / "peer_datatrove.py")
    return subprocess.Popen(
        [python, script, "lines"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", bufsize=1
    )


def c4_datatrove(text):
    """Return the lines that datatrove's own C4 filter keeps, without its conditions on whole documents."""
    peer = _datatrove()
    peer.stdin.write(json.dumps(text) + "\n")
    peer.stdin.flush()
    kept = iter(json.loads(peer.stdout.readline()))
    return _kept(text, lambda line: next(kept))


def winnow(text):
    """Return what winnow-md leaves of a text, at its most aggressive; it is made for Markdown."""
    import winnow

    # Markdown joins lines to paragraphs, so each becomes one.
    return winnow.clean(text.replace("\n", "\n\n"), aggressiveness=1.0).markdown


def trafilatura_default(html):
    import trafilatura

    return trafilatura.extract(html)


def trafilatura_recall(html):
    import trafilatura

    return trafilatura.extract(html, favor_recall=True)


def trafilatura_precision(html):
    import trafilatura

    return trafilatura.extract(html, favor_precision=True)


def refinedweb_html(html):
    """Return what Penedo et al. do with a page: trafilatura, then their corrections line by line."""
    text = trafilatura_no_comments(html) or ""
    return "\n".join(text[start:end] for start, end in refinedweb_lines(text))


def c4_html(html):
    """Return all visible text of a page, as in a WET file, after the line rules of C4."""
    from resiliparse.extract.html2text import extract_plain_text

    text = extract_plain_text(html, main_content=False)
    return "\n".join(text[start:end] for start, end in c4_lines(text))


def boilerpy3(html):
    from boilerpy3 import extractors

    return extractors.ArticleExtractor(raise_on_failure=False).get_content(html)


def trafilatura_fast(html):
    import trafilatura

    return trafilatura.extract(html, fast=True)


def trafilatura_no_comments(html):
    import trafilatura

    return trafilatura.extract(html, include_comments=False)


def resiliparse_main(html):
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text(html, main_content=True)


def justext_good(html):
    import justext

    paragraphs = justext.justext(html.encode("utf-8"), justext.get_stoplist("English"))
    return "\n".join(p.text for p in paragraphs if not p.is_boilerplate)


def resiliparse_no_comments(html):
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text(html, main_content=True, comments=False)


def readability(html):
    from lxml import html as lxml_html
    from readability import Document

    return lxml_html.fromstring(Document(html).summary(html_partial=True)).text_content()
