"""HTML or plain text to Document; the only importer of trafilatura. It does not judge."""

from __future__ import annotations

import codecs
import re

from .config import Config
from .document import Document, Record
from .errors import InputError

__all__ = ["extract"]

_PAGE_REMEDY = "check that it is a whole page, or give its text instead"
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_META_CHARSET = re.compile(
    rb"<(?:meta|\?xml)[^>]{0,500}?(?:charset|encoding)\s*=\s*[\"']?\s*([a-z0-9_.:-]+)", re.IGNORECASE
)
_META_WITHIN = 4096
_LONG_TAG = re.compile(r"<[A-Za-z][^<>]{20000}[^<>]*")
_MAX_ATTRIBUTES = 5000
_MIN_SHARE = 0.4  # of the visible text; below it extraction is tried another way
_MUCH_LONGER = 1.5
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
    if len(html) > config.max_text_chars:
        reason = f"HTML of {len(html):,} characters is over the limit of {config.max_text_chars:,}"
        raise InputError(reason, remedy="raise max_text_chars, or cut the page")
    try:
        page = _mended(_decoded(html) if isinstance(html, bytes) else html)
        _check_tags(page)
        text = _main_text(page)
    except InputError:
        raise
    except Exception as error:  # whatever trips the parsers below, it is this page
        reason = f"HTML that cannot be parsed ({type(error).__name__}: {error})"
        raise InputError(reason, remedy=_PAGE_REMEDY) from error
    if not text or not text.strip():
        raise InputError("no text found in the HTML", remedy=_PAGE_REMEDY)
    return text


def _check_tags(page: str) -> None:
    """Refuse a tag of very many attributes: the parser takes minutes for one, as it compares each with all others."""
    for tag in _LONG_TAG.finditer(page):
        if tag[0].count("=") > _MAX_ATTRIBUTES:
            reason = f"HTML with more than {_MAX_ATTRIBUTES:,} attributes in a tag, at character {tag.start():,}"
            raise InputError(reason, remedy=_PAGE_REMEDY)


def _main_text(page: str) -> str | None:
    """Return the main text of a page; rather too much than too little: the cleaner says what it removes."""
    from trafilatura import extract as extract_
    from trafilatura import html2txt

    text = extract_(page, favor_recall=True, include_comments=False) or ""
    # On pages of many equal blocks (forums, lists) the mode that favours recall may take one of them for the whole.
    if len(text) < _MIN_SHARE * len(html2txt(page)):
        other = extract_(page, include_comments=False) or ""
        text = other if len(other) > _MUCH_LONGER * len(text) else text
    # User comments are no part of an article, but a page that is nothing else is not empty.
    return text or extract_(page, favor_recall=True, include_comments=True)


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
            name = codecs.lookup(name).name
            return page.decode(_AS_BROWSERS_DO.get(name, name))
        except (LookupError, ValueError):
            continue
    return str(decode_file(page))


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
