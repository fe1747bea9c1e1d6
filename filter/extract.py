"""HTML or plain text to Document; the only importer of trafilatura and resiliparse.

Pages that might take a parser for ever are read in a child process that is killed when its time is up.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .config import Config, Extractor
from .document import Document, Record
from .errors import InputError, ModelError

if TYPE_CHECKING:
    import numpy.typing as npt

    from .blocks import Blocks

__all__ = ["decoded_as", "extract", "page_blocks", "page_votes"]

_PAGE_REMEDY = "check that it is a whole page, or give its text instead"
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_META_CHARSET = re.compile(
    rb"<(?:meta|\?xml)[^>]{0,500}?(?:charset|encoding)\s*=\s*[\"']?\s*([a-z0-9_.:-]+)", re.IGNORECASE
)
_META_WITHIN = 4096
_TAG = re.compile(r"<[a-zA-Z]")
_LONG_TAG_CHARS = 20_000
_LONG_TAG = re.compile(rf"<[A-Za-z][^<>]{{{_LONG_TAG_CHARS}}}[^<>]*")
_MAX_ATTRIBUTES = 5000
# Pages beyond these may take long and are read in a child process; of today's news pages, two in a thousand are.
_MANY_TAGS = 10_000
_MANY_CHARS = 1_000_000
# trafilatura takes minutes for 100,000 paragraphs, and no page that was learned from had half as many. libxml2 drops
# all that follows the 256th level of nesting.
_TOO_MANY_TAGS = 50_000
_MAX_DEPTH = 240
_NESTING = re.compile(
    r"<(/?)(?:div|span|table|ul|ol|section|article|main|font|b|i|u|center|blockquote|a|em|strong|form|small|big|dl)\b",
    re.IGNORECASE,
)
_MIN_SHARE_OF_VISIBLE = 0.05
_LONG_CHARS = 2000  # no scrap, whatever else is to be seen
# Of what a page of a few lines says outside links, little is not its text.
_FEW_CHARS, _MIN_SHARE_OF_FEW = 600, 0.8
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
    from .blocks import shipped_models
    from .child import ChildDiedError, OutOfTimeError, call

    shipped_models()  # the child could only die of a model that is missing

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
        raise InputError(reason, remedy="raise max_html_bytes in the configuration, or cut the page")
    if len(html) > config.max_text_chars:
        reason = f"HTML of {len(html):,} characters is over the limit of {config.max_text_chars:,}"
        raise InputError(reason, remedy="raise max_text_chars in the configuration, or cut the page")


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
    except (InputError, ModelError):
        raise
    except Exception as error:  # whatever trips the parsers below, it is this page
        reason = f"HTML that cannot be parsed ({type(error).__name__}: {error})"
        raise InputError(reason, remedy=_PAGE_REMEDY) from error
    if not text.strip():
        raise InputError("no text found in the HTML", remedy=_PAGE_REMEDY)
    return text


def _check_tags(page: str) -> None:
    """Refuse a tag of very many attributes: the parser takes minutes for one, as it compares each with all others."""
    # A tag that long stands across one of these places, so the rest of the page need not be looked at.
    for place in range(_LONG_TAG_CHARS, len(page), _LONG_TAG_CHARS):
        tag = _LONG_TAG.match(page, max(0, page.rfind("<", 0, place)))
        if tag and tag[0].count("=") > _MAX_ATTRIBUTES:
            reason = f"HTML with more than {_MAX_ATTRIBUTES:,} attributes in a tag, at character {tag.start():,}"
            raise InputError(reason, remedy=_PAGE_REMEDY)


def _main_text(page: str, extractor: Extractor) -> str:
    """Return the main text of a page; rather too much than too little: the cleaner says what it removes."""
    from .blocks import main_text, read_blocks

    if _is_deep(page):
        return _visible_text(page)
    if page.count("<") > _TOO_MANY_TAGS:
        return _by_resiliparse(page) or _visible_text(page)
    is_alone = extractor == "resiliparse"
    tree = _plain_tree(page) if is_alone else _tree(page)
    blocks = read_blocks(tree)
    texts = []
    if blocks.texts:
        texts.append(main_text(blocks, None if is_alone else _votes(page, tree, blocks)))
    visible_chars = sum(map(len, blocks.texts))
    unlinked_chars = visible_chars - int(blocks.links.sum())

    def tree_again() -> Any:
        return _tree(page) if is_alone else tree

    # Where the blocks say nothing, what others take; on some pages comments or a list of links are all there is.
    reads: tuple[Callable[[], str], ...] = (
        lambda: _by_resiliparse(page),
        lambda: _by_trafilatura(tree_again()),
        lambda: _comments(tree_again()),
    )
    for read in reads:
        if texts and not _is_scrap(texts[-1], visible_chars, unlinked_chars):
            return texts[-1]
        texts.append(read())
    return max(texts, key=len)


def _is_scrap(text: str, visible_chars: int, unlinked_chars: int) -> bool:
    if unlinked_chars <= _FEW_CHARS and len(text) <= _MIN_SHARE_OF_FEW * unlinked_chars:
        return True
    return len(text) < _LONG_CHARS and len(text) <= _MIN_SHARE_OF_VISIBLE * visible_chars


def page_blocks(html: str) -> tuple[Any, Blocks]:
    """Return the tree of a page and its blocks, for training.

    Raises:
        InputError: the page is nested too deep.
    """
    from .blocks import read_blocks

    page = _mended(html)
    if _is_deep(page):
        raise InputError("elements nested too deep", remedy=_PAGE_REMEDY)
    tree = _tree(page)
    return tree, read_blocks(tree)


def page_votes(html: str, tree: Any, blocks: Blocks) -> Mapping[str, npt.NDArray[Any]]:
    """Return what other extractors take of each block, by their names, for training."""
    return _votes(_mended(html), tree, blocks)


def _votes(page: str, tree: Any, blocks: Blocks) -> Mapping[str, npt.NDArray[Any]]:
    from .blocks import votes_of

    return votes_of(blocks, {"trafilatura": _by_trafilatura(tree), "resiliparse": _by_resiliparse(page)})


_PARSING: dict[str, Any] = {
    "collect_ids": False,
    "default_doctype": False,
    "encoding": "utf-8",
    "remove_comments": True,
    "remove_pis": True,
}


def _tree(page: str) -> Any:
    """Return the tree as trafilatura parses a page; it takes one as it is, and leaves it so."""
    from lxml import html

    return html.document_fromstring(page.replace("\0", "").encode("utf-8"), parser=html.HTMLParser(**_PARSING))


def _plain_tree(page: str) -> Any:
    """Return the same tree, of elements that know nothing of HTML: a walk through it takes a quarter less."""
    from lxml import etree

    tree = etree.fromstring(page.replace("\0", "").encode("utf-8"), parser=etree.HTMLParser(**_PARSING))
    if tree is None:
        raise InputError("no text found in the HTML", remedy=_PAGE_REMEDY)
    return tree


def _is_deep(page: str) -> bool:
    """Return whether elements nest too deep for either extractor: one drops text, the other takes the square of it."""
    depth = 0
    for slash in _NESTING.findall(page):
        if not slash:
            depth += 1
            if depth > _MAX_DEPTH:
                return True
        elif depth:
            depth -= 1
    return False


def _by_trafilatura(tree: Any) -> str:
    from trafilatura import extract as extract_

    return extract_(tree, favor_recall=True, include_comments=False) or ""


def _comments(tree: Any) -> str:
    """Return the user comments too: they are no part of an article, but a page that is nothing else is not empty."""
    from trafilatura import extract as extract_

    return extract_(tree, favor_recall=True, include_comments=True) or ""


def _by_resiliparse(page: str) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    text = extract_plain_text(page, main_content=True, comments=False, alt_texts=False, skip_elements=_NOT_THE_ARTICLE)
    return str(text)


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
