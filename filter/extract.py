"""HTML or plain text to Document; the only importer of trafilatura and resiliparse.

Pages that might take a parser for ever are read in a child process that is killed when its time is up.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter

from .config import Config, Extractor
from .document import Document, Record
from .errors import InputError

__all__ = ["decoded_as", "extract"]

_PAGE_REMEDY = "check that it is a whole page, or give its text instead"
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_META_CHARSET = re.compile(
    rb"<(?:meta|\?xml)[^>]{0,500}?(?:charset|encoding)\s*=\s*[\"']?\s*([a-z0-9_.:-]+)", re.IGNORECASE
)
_META_WITHIN = 4096
_TAG = re.compile(r"<[a-zA-Z]")
_LONG_TAG = re.compile(r"<[A-Za-z][^<>]{20000}[^<>]*")
_MAX_ATTRIBUTES = 5000
# Pages beyond these may take long and are read in a child process; of today's news pages, two in a thousand are.
_MANY_TAGS = 10_000
_MANY_CHARS = 1_000_000
# trafilatura takes minutes for 100,000 paragraphs, and libxml2 drops all that follows the 256th level of nesting.
_TOO_MANY_TAGS = 50_000
_MAX_DEPTH = 240
_NESTING = re.compile(
    r"<(/?)(?:div|span|table|ul|ol|section|article|main|font|b|i|u|center|blockquote|a|em|strong|form|small|big|dl)\b",
    re.IGNORECASE,
)
# Below this share of words in common, two extractors disagree and a third decides.
_MIN_LIKENESS = 0.7
_OTHER_BONUS = 0.2  # two modes of one extractor are alike for that alone
_MIN_SHARE_OF_OTHER = 0.5
_MIN_SHARE_OF_VISIBLE = 0.05
_LONG_CHARS = 2000  # no scrap, whatever else is to be seen
_MIN_LINK_LINES = 2
_MIN_LINK_SHARE = 0.8
_MIN_REMAINING = 0.2
# What trafilatura leaves out too; each of these is nine times in ten no part of an article's text.
_NOT_THE_ARTICLE = [
    "figure",
    "figcaption",
    "footer",
    *(
        f'[class*="{word}" i]'
        for word in ("caption", "breadcrumb", "disclaimer", "cookie", "consent", "copyright", "byline", "credit")
    ),
]
_NO_LETTERS = re.compile(r"[\W\d_]+")
_SEPARATOR = re.compile(r"[|·•/,»«>–-]+\s|\t|\s\s+")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]|\w+")
# References to control characters but tab, line feed and carriage return.
_CONTROL_REFERENCE = re.compile(
    r"&#(?:0*(?:[1-8]|1[124-9]|2\d|3[01])|[xX]0*(?:[1-8bcefBCEF]|1[\da-fA-F]))(?:;|(?![\da-fA-F]))"
)
# Browsers read these names as the larger Windows sets (WHATWG Encoding Standard), and pages rely on it.
_AS_BROWSERS_DO = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
}


def extract(record: Record, config: Config) -> Document:
    """Return the record's text, or the text extracted from its HTML, as a document without spans.

    Raises:
        InputError: the text is not Unicode, the HTML is too long, or it holds no text that can be extracted.
    """
    text = record.text if record.text is not None else _html_text(record, config)
    _check_unicode(text)
    return Document(text, id=record.id, url=record.url, meta=record.meta)


def _check_unicode(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        reason = f"half of a surrogate pair (U+{ord(text[error.start]):04X}) at character {error.start}"
        raise InputError(reason, remedy="repair the \\u escape in the input") from error


def _html_text(record: Record, config: Config) -> str:
    html = record.html
    assert html is not None
    _check_size(html, config)
    if config.page_timeout_s is None or not _may_take_long(html):
        return _page_text(html, config.extractor)
    from .child import ChildDiedError, OutOfTimeError, call

    size = f"HTML of {len(html):,} {'bytes' if isinstance(html, bytes) else 'characters'}"
    try:
        return call(_page_text, html, config.extractor, timeout_s=config.page_timeout_s)
    except OutOfTimeError as error:
        reason = f"{size} takes longer than {config.page_timeout_s:g} s to read"
        raise InputError(reason, remedy="raise page_timeout_s, or give the page's text instead") from error
    except ChildDiedError as error:
        raise InputError(f"{size} that ends the process that reads it", remedy=_PAGE_REMEDY) from error


def _check_size(html: str | bytes, config: Config) -> None:
    size = len(html)
    if isinstance(html, str) and size <= config.max_html_bytes < 4 * size:
        size = len(html.encode("utf-8", "surrogatepass"))
    if size > config.max_html_bytes:
        reason = f"HTML of {size:,} bytes is over the limit of {config.max_html_bytes:,}"
        raise InputError(reason, remedy="raise max_html_bytes, or cut the page")
    if len(html) > config.max_text_chars:
        reason = f"HTML of {len(html):,} characters is over the limit of {config.max_text_chars:,}"
        raise InputError(reason, remedy="raise max_text_chars, or cut the page")


def _may_take_long(html: str | bytes) -> bool:
    tags = html.count(b"<") if isinstance(html, bytes) else html.count("<")
    return tags > _MANY_TAGS or len(html) > _MANY_CHARS


def _page_text(html: str | bytes, extractor: Extractor) -> str:
    """Return the main text of a page.

    Raises:
        InputError: there is none, or the page cannot be parsed.
    """
    try:
        page = _mended(_decoded(html) if isinstance(html, bytes) else html)
        if not _TAG.search(page):
            raise InputError("no text found in the HTML", remedy=_PAGE_REMEDY)
        _check_tags(page)
        text = _main_text(page, extractor)
    except InputError:
        raise
    except Exception as error:  # whatever trips the parsers below, it is this page
        reason = f"HTML that cannot be parsed ({type(error).__name__}: {error})"
        raise InputError(reason, remedy=_PAGE_REMEDY) from error
    if not text.strip():
        raise InputError("no text found in the HTML", remedy=_PAGE_REMEDY)
    return text


def _check_tags(page: str) -> None:
    """Refuse a tag of very many attributes: the parser takes minutes for one, as it compares each with all others."""
    for tag in _LONG_TAG.finditer(page):
        if tag[0].count("=") > _MAX_ATTRIBUTES:
            reason = f"HTML with more than {_MAX_ATTRIBUTES:,} attributes in a tag, at character {tag.start():,}"
            raise InputError(reason, remedy=_PAGE_REMEDY)


def _main_text(page: str, extractor: Extractor) -> str:
    """Return the main text of a page; rather too much than too little: the cleaner says what it removes."""
    if _is_deep(page):
        return _visible_text(page)
    links = _link_texts(page)
    if page.count("<") > _TOO_MANY_TAGS:
        return _by_resiliparse(page, links) or _visible_text(page)
    if extractor == "resiliparse":
        return _by_resiliparse(page, links) or _by_trafilatura(page, links) or _comments(page)
    return _agreed(page, links) or _comments(page)


def _is_deep(page: str) -> bool:
    """Return whether elements nest too deep for either extractor: one drops text, the other takes the square of it."""
    depth = 0
    for match in _NESTING.finditer(page):
        depth += -1 if match[1] else 1
        if depth > _MAX_DEPTH:
            return True
        depth = max(depth, 0)
    return False


def _agreed(page: str, links: set[str]) -> str:
    """Return what trafilatura finds, or where another extractor finds something else, what most agree on."""
    text, other = _by_trafilatura(page, links), _by_resiliparse(page, links)
    if _likeness(_words(text), _words(other)) >= _MIN_LIKENESS:
        return text
    # On pages of many equal blocks (forums, lists) the mode that favours recall may take one of them for the whole.
    third = _by_trafilatura(page, links, favor_recall=False)
    if max(len(text), len(third)) < _MIN_SHARE_OF_OTHER * len(other):
        return other
    return _most_alike([(text, 0.0), (third, 0.0), (other, _OTHER_BONUS)])


def _most_alike(candidates: list[tuple[str, float]]) -> str:
    """Return the text that is most like the others, of equals the first; an empty one only where all are.

    Args:
        candidates: each text, and what is added to its likeness to the others.

    >>> _most_alike([("Menu", 0.0), ("One story", 0.0), ("One story and a half", 0.0)])
    'One story'
    """
    candidates = [(text, bonus) for text, bonus in candidates if text.strip()]
    words = [_words(text) for text, _ in candidates]
    totals = [
        sum(_likeness(own, other) for other in words) + bonus for own, (_, bonus) in zip(words, candidates, strict=True)
    ]
    return candidates[totals.index(max(totals))][0] if candidates else ""


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.lower()))


def _likeness(one: Counter[str], other: Counter[str]) -> float:
    """Return the share of words that two texts have in common (Dice), in [0, 1]."""
    total = sum(one.values()) + sum(other.values())
    return 2 * sum((one & other).values()) / total if total else 1.0


def _link_texts(page: str) -> set[str]:
    """Return the letters of each link, and of each piece of text in it: a teaser is a link of several lines."""
    from trafilatura import load_html

    tree = load_html(page)
    texts: set[str] = set()
    for link in tree.iter("a") if tree is not None else ():
        # Most links hold a text and nothing else, which need not be walked through.
        pieces = [_letters(piece) for piece in (link.itertext() if len(link) else (link.text or "",))]
        texts.update(pieces)
        texts.add("".join(pieces))
    return texts - {""}


def _letters(text: str) -> str:
    return _NO_LETTERS.sub("", text.lower())


def _without_link_lists(text: str, links: set[str]) -> str:
    r"""Return a text without the lists of links in it: two or more lines in a row that are nothing else.

    A text that is little else is a list itself, and stays.

    >>> _without_link_lists("One of the stories is long.\nHome\n\nNews | Sport\nTwo", {"home", "news", "sport", "two"})
    'One of the stories is long.'
    """
    lines = text.split("\n")
    dropped: set[int] = set()
    run: list[int] = []
    for number, line in enumerate(lines):
        letters = _letters(line)
        if not letters:  # a line without words neither makes nor ends a list
            continue
        if not _is_links(line, letters, links):
            run = []
            continue
        run.append(number)
        if len(run) >= _MIN_LINK_LINES:
            dropped.update(range(run[-_MIN_LINK_LINES], number + 1))
    remaining = "\n".join(line for number, line in enumerate(lines) if number not in dropped)
    return remaining if len(remaining) > _MIN_REMAINING * len(text) else text


def _is_links(line: str, letters: str, links: set[str]) -> bool:
    if letters in links:
        return True
    cells = [_letters(cell) for cell in _SEPARATOR.split(line)]
    return sum(len(cell) for cell in cells if cell in links) >= _MIN_LINK_SHARE * len(letters)


def _by_trafilatura(page: str, links: set[str], *, favor_recall: bool = True) -> str:
    from trafilatura import extract as extract_

    return _without_link_lists(extract_(page, favor_recall=favor_recall, include_comments=False) or "", links)


def _comments(page: str) -> str:
    """Return the user comments too: they are no part of an article, but a page that is nothing else is not empty."""
    from trafilatura import extract as extract_

    return extract_(page, favor_recall=True, include_comments=True) or ""


def _by_resiliparse(page: str, links: set[str]) -> str:
    """Return what resiliparse takes for the main text; nothing where that is a scrap, as it misses some layouts."""
    from resiliparse.extract.html2text import extract_plain_text

    text = extract_plain_text(page, main_content=True, comments=False, alt_texts=False, skip_elements=_NOT_THE_ARTICLE)
    if len(text) < _LONG_CHARS and len(text) <= _MIN_SHARE_OF_VISIBLE * len(_visible_text(page)):
        return ""
    return _without_link_lists(text, links)


def _visible_text(page: str) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(page, main_content=False, alt_texts=False))


def _decoded(page: bytes) -> str:
    r"""Return a page decoded as a browser would; where nothing fits, as trafilatura guesses from the letters.

    UTF-8 comes before what the page says of itself: bytes that happen to be UTF-8 nearly always are.

    >>> _decoded(b'<meta charset="iso-8859-1">\x80 5')
    '<meta charset="iso-8859-1">€ 5'
    """
    from trafilatura.utils import decode_file

    names = [name for mark, name in _BOMS if page.startswith(mark)] or ["utf-8"]
    declared = _META_CHARSET.search(page[:_META_WITHIN])
    if declared:
        names.append(declared[1].decode("ascii"))
    for name in names:
        try:
            return decoded_as(page, name)
        except (LookupError, ValueError):
            continue
    return str(decode_file(page))


def decoded_as(page: bytes, name: str) -> str:
    r"""Return bytes decoded by the encoding of that name, as browsers understand it.

    Raises:
        LookupError: there is no such encoding.
        ValueError: the bytes are not in it.

    >>> decoded_as(b"\x80 5", "latin-1")
    '€ 5'
    """
    name = codecs.lookup(name).name
    return page.decode(_AS_BROWSERS_DO.get(name, name))


def _mended(page: str) -> str:
    r"""Return a page without what makes the parser drop all that follows, or trafilatura the whole page.

    >>> _mended("a\ud800 b&#x1;"), _mended("&#10;&#x26;")
    ('a\ufffd b', '&#10;&#x26;')
    """
    try:
        page.encode("utf-8")
    except UnicodeEncodeError:
        # The way through UTF-16 also joins the halves of a pair that were written apart.
        page = page.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _CONTROL_REFERENCE.sub("", page)
