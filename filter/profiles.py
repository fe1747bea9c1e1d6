"""Site profiles: the lines that come back on the pages of one site are its furniture, not its articles.

`learn` counts on how many pages of a host each line stands, `merge` adds profiles up, and `mark_site_lines` marks the
lines of a document that its host's profile knows. It works on plain text as well as on text taken out of HTML, and
every mark says on how many pages the line was seen.

Three things keep genuine text safe. Near-duplicate pages (print versions, the same article under two addresses) count
once, or every article stored three times would look like furniture. A line needs stronger evidence the rarer it is, and
more so if it reads like prose. And what a document says in its own place stays: its headline, and the sentences of a
page that would otherwise be left with nothing.
"""

from __future__ import annotations

import heapq
import json
import os
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b
from itertools import groupby, islice, pairwise
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple
from urllib.parse import unquote, urlsplit

import numpy as np
import numpy.typing as npt

from .document import Document, Span
from .errors import ConfigError, UsageError
from .folding import UNSPACED

__all__ = [
    "MIN_SCORES",
    "HostProfile",
    "Profile",
    "host_of",
    "learn",
    "line_keys",
    "load_profiles",
    "mark_site_lines",
    "merge",
    "read_profile",
    "site_score",
    "with_decisions",
    "write_profile",
]

FORMAT = "textsieve site profile"
VERSION = 1

MIN_SCORES = {"gentle": 0.9, "balanced": 0.7, "strict": 0.7}
"""What a line must score, by preset: on most pages of a host, 5 and 2 pages are enough; see `site_score`."""

KEPT_PAGES = 2
KEPT_SHARE = 0.005
"""A profile keeps lines from here on: fewer pages than are asked for in the end, so that merged halves add up."""

# Evidence, in pages of a host and in shares of them.
MIN_HOST_PAGES = 3
MIN_SHARE = 0.02
USUAL_SHARE = 0.5
RARE_SHARE = 0.25

# Learning: pages compared with each other, text held in memory, sorted runs open at a time.
CHUNK_PAGES = 500
BUFFER_CHARS = 32_000_000
MAX_RUNS = 128

# Near-duplicates. Copies of an article share over nine tenths of their weight, pages of one site seldom half.
MIN_LIKENESS = 0.6
MIN_OWN_CHARS = 80
LARGE_HOST_PAGES = 50

# Lines: what is a key, what reads like prose (in words, or in characters of scripts without blanks).
MAX_KEY_CHARS = 200
HEAD_CHARS = 180
PROSE_WORDS = 12
PROSE_WIDE = 25

# Guards and gaps.
MIN_HEADLINE_WORDS = 4
MIN_HEADLINE_SHARE = 0.6
MAX_REMOVED_SHARE = 0.9
MAX_BETWEEN_LINES = 3
MAX_BETWEEN_CHARS = 30
MAX_BETWEEN_WORDS = 3
BETWEEN_SCORE = 0.8

_PREFIX = re.compile(r"^(?:www\d?|m|mobile|amp)\.(?=[^.]+\.)")
_DIGITS = re.compile(r"\d+")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W_]{3,}")
_CODE = ("{", "}", "};", ");", ";", "(", "[", "=", "=>", "/>", "*/")
_DIGIT_LETTERS = str.maketrans("0123456789", "ghijklmnop")
_STOPS = tuple(".!?…。！？؟।")

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class HostProfile:
    """What is known of one host.

    Attributes:
        pages: how many of its pages were seen, near-duplicates counted once.
        lines: on how many of them each line stands; a line is written as `line_keys` writes it.
    """

    pages: int
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of many hosts.

    Attributes:
        hosts: by name, as `host_of` returns it.
        site_field: the `meta` field that names a document's site; empty when its address does.
    """

    hosts: Mapping[str, HostProfile] = field(default_factory=dict)
    site_field: str = ""


def host_of(document: Document, site_field: str = "") -> str:
    """Return the name of the site that a document belongs to, or nothing when it has none.

    It is the host in the document's address, in lower case and without `www.`, `m.`, `mobile.` or `amp.` in front.

    Args:
        document: only its `url` and `meta` are looked at.
        site_field: a field of `meta` that names the site instead of the address.

    >>> host_of(Document("", url="https://WWW.Example.com:8080/a"))
    'example.com'
    >>> host_of(Document("", meta={"paper": "Die Zeit"}), "paper")
    'die zeit'
    """
    if site_field:
        value = document.meta.get(site_field)
        return " ".join(str(value).lower().split()) if isinstance(value, (str, int)) else ""
    try:
        host = urlsplit(document.url or "").hostname or ""
    except ValueError:
        return ""
    return _PREFIX.sub("", "".join(host.lower().rstrip(".").split()))


def line_keys(lines: Sequence[str]) -> list[str]:
    """Return what each line is counted as; nothing for a line that is never counted.

    Case and the amount of blank space make no difference, and any number is written 0. Lines
    without a letter are too common to prove anything, and lines of program code come back in genuine articles. Of a
    line over MAX_KEY_CHARS code points the end is replaced by its digest.

    Args:
        lines: single lines, without line breaks.

    >>> line_keys(["  Posted at 12:45,  23 Comments", "* * *", "return x;"])
    ['posted at 0:0, 0 comments', '', '']
    """
    if not lines:
        return []
    text = "\n".join(line if len(line) <= MAX_KEY_CHARS else _shortened(line) for line in lines).casefold()
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return [_key(line) for line in _DIGITS.sub("0", text).split("\n")]


def _shortened(line: str) -> str:
    # Hashing is far cheaper than folding, and nine tenths of the text stand in long lines.
    digest = blake2b(line[HEAD_CHARS:].encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    # Digits would be masked.
    return f"{line[:HEAD_CHARS].rstrip()} … {digest.translate(_DIGIT_LETTERS)}"


def _key(line: str) -> str:
    key = " ".join(line.split())
    if not key[:1].isalpha() and not _LETTER.search(key):
        return ""
    # The Greek question mark is a semicolon, so only ASCII lines can be told to be code by their end.
    return "" if key.endswith(_CODE) and key.isascii() else key


def _is_prose(key: str) -> bool:
    if key.count(" ") >= PROSE_WORDS - 1:
        return True
    return not key.isascii() and len(UNSPACED.findall(key)) >= PROSE_WIDE


# Learning


def learn(documents: Iterable[Document], *, site_field: str = "", buffer_chars: int = BUFFER_CHARS) -> Profile:
    r"""Return the profile of the hosts that documents come from.

    Documents are read once and not kept: what exceeds the buffer is sorted by host on disk, in the folder for temporary
    files, where it takes about the space of the text. Memory grows with the number of hosts and of lines that come
    back, not with the number of documents. The pages of a host are compared with each other CHUNK_PAGES at a time, in
    the order in which they come.

    Args:
        documents: in any order; spans are not looked at, documents without a host are left out.
        site_field: a field of `meta` that names the site instead of the address.
        buffer_chars: how much text is held in memory.

    >>> pages = [f"Story {word} is told here.\nSign in\n" for word in ("one", "two", "three")]
    >>> profile = learn(Document(text, url=f"https://example.com/{i}") for i, text in enumerate(pages))
    >>> dict(profile.hosts["example.com"].lines)
    {'sign in': 3}
    """
    hosts = {}
    with _Spool(buffer_chars) as spool:
        for document in documents:
            if host := host_of(document, site_field):
                lines = document.text.replace("\r", "\n").split("\n")
                keys = dict.fromkeys(line_keys([line.strip() for line in lines]))
                keys.pop("", None)
                spool.add(host, keys)
        for host, pages in groupby(spool.pages(), key=lambda page: page.host):
            profile = _host_profile(page.keys for page in pages)
            # A single page proves nothing, and most hosts of a large crawl have no more.
            if profile.pages >= KEPT_PAGES:
                hosts[host] = profile
    return Profile(hosts, site_field)


class _Page(NamedTuple):
    """The distinct lines of one page; pages sort by host, then in the order in which they came."""

    host: str
    number: int
    keys: list[str]


class _Spool:
    """Sorts pages by host, in runs on disk as soon as they exceed the buffer."""

    def __init__(self, buffer_chars: int) -> None:
        self._limit = buffer_chars
        self._buffer: list[_Page] = []
        self._shared: dict[str, str] = {}
        self._chars = self._count = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._runs: list[Path] = []
        self._made = 0

    def __enter__(self) -> _Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def add(self, host: str, keys: Iterable[str]) -> None:
        """Take in one page."""
        shared = self._shared
        own = []
        for key in keys:
            held = shared.setdefault(key, key)
            if held is key:
                self._chars += len(key)
            own.append(held)
        self._buffer.append(_Page(host, self._count, own))
        self._chars += 8 * len(own)
        self._count += 1
        if self._chars > self._limit:
            self._spill()

    def pages(self) -> Iterator[_Page]:
        """Yield every page, sorted."""
        self._buffer.sort(key=_place)
        return heapq.merge(*map(_read_run, self._runs), self._buffer, key=_place)

    def _spill(self) -> None:
        self._buffer.sort(key=_place)
        self._write(self._buffer)
        self._buffer, self._shared, self._chars = [], {}, 0
        # Each run is an open file while they are read.
        if len(self._runs) >= MAX_RUNS:
            old, self._runs = self._runs, []
            self._write(heapq.merge(*map(_read_run, old), key=_place))
            for path in old:
                path.unlink()

    def _write(self, pages: Iterable[_Page]) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="textsieve-learn-")
        path = Path(self._folder.name) / f"{self._made}.run"
        with path.open("w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
            # Neither a host nor a key holds a tab or a line break: both are collapsed to blanks.
            file.writelines("\t".join((page.host, str(page.number), *page.keys)) + "\n" for page in pages)
        self._runs.append(path)
        self._made += 1


def _place(page: _Page) -> tuple[str, int]:
    return page.host, page.number


def _read_run(path: Path) -> Iterator[_Page]:
    with path.open(encoding="utf-8", errors="surrogatepass", newline="\n") as file:
        for line in file:
            host, number, *keys = line.rstrip("\n").split("\t")
            yield _Page(host, int(number), keys)


def _host_profile(pages: Iterator[list[str]]) -> HostProfile:
    total = 0
    lines: dict[str, int] = {}
    while chunk := list(islice(pages, CHUNK_PAGES)):
        count, found = _count(chunk)
        total += count
        for key, number in found.items():
            lines[key] = lines.get(key, 0) + number
        # Rarer lines are of no use and would grow with the host; those left fill at most 1 / KEPT_SHARE pages.
        lines = {key: number for key, number in lines.items() if number >= KEPT_SHARE * total}
    return HostProfile(total, lines)


def _count(pages: Sequence[Sequence[str]]) -> tuple[int, dict[str, int]]:
    """Return how many different pages there are, and on how many of them each line stands that comes back."""
    if len(pages) == 1:
        return 1, {}
    columns: dict[str, int] = {}
    flat = [columns.setdefault(key, len(columns)) for page in pages for key in page]
    if not columns:
        return 1, {}
    column = np.array(flat, dtype=np.int64)
    row = np.repeat(np.arange(len(pages)), [len(page) for page in pages])
    chars = np.fromiter(map(len, columns), dtype=np.float64, count=len(columns))
    group = _groups(row, column, chars, len(pages))
    distinct = int(group.max()) + 1
    counts = np.bincount(np.unique(group[row] * len(columns) + column) % len(columns), minlength=len(columns))
    repeated = np.flatnonzero(counts >= KEPT_PAGES)
    names = list(columns)
    return distinct, {names[i]: int(counts[i]) for i in repeated.tolist()}


def _groups(row: Array, column: Array, chars: Array, pages: int) -> Array:
    """Return for each page the number of its group of near-duplicates.

    Two pages belong together when the lines they share hold MIN_LIKENESS of the weight of the smaller one. Long and
    rare lines weigh most: pages that share only the furniture of their site are told apart even where furniture is nine
    tenths of their text. Pages of a large host that hold little but lines found on most of its pages are one group:
    such lines could as well be one article stored many times.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    is_large = pages >= LARGE_HOST_PAGES
    page_counts = np.bincount(column, minlength=len(chars))
    is_counted = page_counts <= (pages / 2 if is_large else pages)
    weight = chars**1.5 * np.log((pages + 1) / page_counts) * is_counted
    own = np.bincount(row, weights=weight[column], minlength=pages)
    own_chars = np.bincount(row, weights=(chars * is_counted)[column], minlength=pages)
    is_shared = (is_counted & (page_counts > 1))[column]
    starts = np.concatenate([[0], np.cumsum(np.bincount(row[is_shared], minlength=pages))])
    shared = csr_array((np.sqrt(weight[column[is_shared]]), column[is_shared], starts), shape=(pages, len(chars)))
    common = shared @ shared.T
    left, right = np.repeat(np.arange(pages), np.diff(common.indptr)), common.indices
    is_alike = (left < right) & (common.data >= MIN_LIKENESS * np.minimum(own[left], own[right]))
    bare = np.flatnonzero(own_chars < (MIN_OWN_CHARS if is_large else 1))
    left = np.concatenate([left[is_alike], bare[:-1]])
    right = np.concatenate([right[is_alike], bare[1:]])
    if not len(left):
        return np.arange(pages)
    links = csr_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(pages, pages))
    group: Array = connected_components(links, directed=False)[1].astype(np.int64)
    return group


def merge(profiles: Iterable[Profile]) -> Profile:
    """Return the profile of everything that the given ones were learned from.

    Pages and lines add up. What cannot be seen any more is left out: near-duplicates between the parts count in each
    of them, and a line that stood on a single page of its host in one part is not in that part's profile.

    Raises:
        UsageError: they name sites by different fields.

    >>> halves = [Profile({"example.com": HostProfile(4, {"sign in": n})}) for n in (2, 4)]
    >>> merge(halves).hosts["example.com"]
    HostProfile(pages=8, lines={'sign in': 6})
    """
    profiles = list(profiles)
    fields = sorted({profile.site_field for profile in profiles})
    if len(fields) > 1:
        raise UsageError(f"profiles name sites by different fields ({', '.join(map(repr, fields))}); learn them again")
    pages: dict[str, int] = {}
    lines: dict[str, dict[str, int]] = {}
    for profile in profiles:
        for host, own in profile.hosts.items():
            pages[host] = pages.get(host, 0) + own.pages
            sums = lines.setdefault(host, {})
            for key, count in own.lines.items():
                sums[key] = sums.get(key, 0) + count
    return Profile({host: HostProfile(pages[host], lines[host]) for host in pages}, fields[0] if fields else "")


def with_decisions(profile: Profile, decided: Mapping[str, Mapping[str, bool]]) -> Profile:
    """Return the profile with what people decided: furniture counts as seen on every page, the rest as never.

    Args:
        profile: a host that it does not know stays unknown.
        decided: by host, whether a line, written as `line_keys` writes it, is furniture.

    >>> known = Profile({"example.com": HostProfile(9, {"sign in": 8, "by our staff": 9})})
    >>> with_decisions(known, {"example.com": {"by our staff": False, "read on": True}}).hosts["example.com"]
    HostProfile(pages=9, lines={'sign in': 8, 'read on': 9})
    """
    hosts = dict(profile.hosts)
    for host, lines in decided.items():
        if (own := hosts.get(host)) is not None:
            kept = {key: count for key, count in own.lines.items() if lines.get(key, True)}
            kept.update((key, own.pages) for key, is_furniture in lines.items() if is_furniture)
            hosts[host] = replace(own, lines=kept)
    return replace(profile, hosts=hosts)


# Files


def write_profile(profile: Profile, path: str | Path) -> None:
    """Write a profile as JSON lines, sorted by host, then by falling number of pages; it appears whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            _write_lines(profile, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _write_lines(profile: Profile, file: IO[str]) -> None:
    def put(**values: Any) -> None:
        # Half a surrogate pair cannot be written as UTF-8; escaped, it can.
        text = json.dumps(values, ensure_ascii=False)
        file.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")

    put(format=FORMAT, version=VERSION, site_field=profile.site_field)
    for host, own in sorted(profile.hosts.items()):
        put(host=host, pages=own.pages)
        for key, count in sorted(own.lines.items(), key=lambda item: (-item[1], item[0])):
            put(host=host, pages=count, of=own.pages, line=key)


def read_profile(path: str | Path) -> Profile:
    """Return the profile in a file.

    Raises:
        ConfigError: it cannot be read, is of another version, or has a line that does not fit; the message names it.
    """
    hosts: dict[str, HostProfile] = {}
    lines: dict[str, int] = {}
    site_field = None
    try:
        with Path(path).open(encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                where = f"{path}:{number}"
                values = _values(text, where) if text.strip() else None
                if site_field is None:
                    site_field = _site_field(values, str(path))
                elif values is not None and "line" not in values:
                    host, pages = _typed(values, "host", str, where), _typed(values, "pages", int, where)
                    if host in hosts:
                        raise ConfigError(f"{where}: a second entry for {host}; join profiles with textsieve learn")
                    lines = {}
                    hosts[host] = HostProfile(pages, lines)
                elif values is not None:
                    host, line = _typed(values, "host", str, where), _typed(values, "line", str, where)
                    count, of = _typed(values, "pages", int, where), _typed(values, "of", int, where)
                    if host not in hosts or hosts[host].lines is not lines:
                        raise ConfigError(f"{where}: the entry of {host} itself is not above; put it back")
                    if not 0 < count <= of == hosts[host].pages:
                        raise ConfigError(
                            f"{where}: pages {count} of {of} do not fit {hosts[host].pages} pages of {host}"
                        )
                    lines[line] = count
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the name") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 ({error.reason}); learn it again") from error
    if site_field is None:
        raise ConfigError(f"{path}: empty, not a site profile; make one with textsieve learn")
    return Profile(hosts, site_field)


def _values(text: str, where: str) -> Mapping[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: not JSON ({error}); correct or delete that line") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: not a JSON object; correct or delete that line")
    return values


def _site_field(values: Mapping[str, Any] | None, path: str) -> str:
    if values is None or values.get("format") != FORMAT:
        raise ConfigError(f"{path}: not a site profile; make one with textsieve learn")
    if values.get("version") != VERSION:
        raise ConfigError(f"{path}: version {values.get('version')!r}, this is for {VERSION}; learn it again")
    site_field: str = _typed(values, "site_field", str, f"{path}:1")
    return site_field


def _typed(values: Mapping[str, Any], name: str, kind: type, where: str) -> Any:
    value = values.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ConfigError(f"{where}: {name} is {value!r}; write {'a whole number' if kind is int else 'a string'}")
    return value


@lru_cache(maxsize=4)
def load_profiles(paths: tuple[str, ...]) -> Profile:
    """Return the profiles in files, merged; read once per process.

    Raises:
        ConfigError: one of them cannot be used.
        UsageError: they name sites by different fields.
    """
    return merge(map(read_profile, paths))


# Applying


def site_score(pages: int, of: int, *, is_prose: bool = False) -> float:
    """Return how sure it is that a line is furniture when it stands on so many pages of a host.

    A line on half of the pages or more is surer than a rarer one, and a line that is rare and reads like prose needs
    most pages. One on fewer than MIN_SHARE of the pages proves nothing: on a host of thousands of pages, headings such
    as "Conclusion" come back without being furniture.

    Args:
        pages: on how many pages it stands.
        of: how many pages there are.
        is_prose: whether it has the length of a sentence.

    Returns:
        A number in [0, 1]; rises with pages.

    >>> site_score(41, 57), site_score(3, 3), site_score(3, 12), site_score(3, 12, is_prose=True), site_score(9, 1000)
    (0.989, 0.85, 0.8, 0.6667, 0.0)
    """
    if of < MIN_HOST_PAGES or pages < max(KEPT_PAGES, MIN_SHARE * of):
        return 0.0
    doubt = 0.45 if pages >= USUAL_SHARE * of else 1.0 if is_prose else 0.6
    return round(1 - doubt / pages, 4)


class _Hit(NamedTuple):
    score: float
    share: float
    reason: str


def mark_site_lines(
    documents: Sequence[Document],
    profile: Profile,
    *,
    min_score: float = MIN_SCORES["balanced"],
    categories: Callable[[Sequence[str]], Sequence[str]] | None = None,
) -> list[Document]:
    r"""Return the documents with the lines marked that their hosts' profiles know.

    Expects one span per line. Only spans that nothing has decided yet are marked; documents of unknown hosts stay as
    they are.

    Args:
        documents: of any hosts.
        profile: what was learned of the hosts.
        min_score: what `site_score` must reach; see MIN_SCORES.
        categories: a function from lines to the categories of boilerplate they look like, empty for none.

    >>> from filter.segment import segment
    >>> profile = Profile({"example.com": HostProfile(57, {"sign in": 41})})
    >>> document = segment(Document("The court met.\nSign in\n", url="https://example.com/1"))
    >>> mark_site_lines([document], profile)[0].spans[1].reasons
    ('on 41 of 57 pages of example.com',)
    """
    marked = list(documents)
    hosts = [host_of(document, profile.site_field) for document in documents]
    known = [i for i, host in enumerate(hosts) if profile.hosts.get(host)]
    texts = [[documents[i].text[span.start : span.end].strip() for span in documents[i].spans] for i in known]
    # A line break within a span would shift the keys of the lines below it.
    keys = iter(line_keys([text.replace("\n", " ") for own in texts for text in own]))
    for i, own in zip(known, texts, strict=True):
        site = profile.hosts[hosts[i]]
        own_keys = [next(keys) for _ in own]
        hits = _hits(own, own_keys, site, f"pages of {hosts[i]}", documents[i].url or "", min_score)
        marked[i] = _with_hits(documents[i], own, own_keys, hits, f"site:{hosts[i]}", categories)
    return marked


def _hits(
    texts: Sequence[str], keys: Sequence[str], site: HostProfile, name: str, url: str, min_score: float
) -> list[_Hit | None]:
    hits: list[_Hit | None] = [None] * len(keys)
    for i, key in enumerate(keys):
        pages = site.lines.get(key, 0)
        if pages:
            score = site_score(pages, site.pages, is_prose=_is_prose(key))
            if score >= min_score:
                hits[i] = _Hit(score, pages / site.pages, f"on {pages:,} of {site.pages:,} {name}")
    if any(hits):
        _spare_headlines(hits, keys, url)
        _spare_lonely(hits)
        _spare_last_text(hits, keys)
        if min_score <= BETWEEN_SCORE:
            _fill_between(hits, texts, name)
    return hits


def _spare_headlines(hits: list[_Hit | None], keys: Sequence[str], url: str) -> None:
    """Spare a line made of the words of the document's own address: the headline, teased on other pages."""
    slug: set[str] | None = None
    for i, hit in enumerate(hits):
        if hit is None or keys[i].count(" ") < MIN_HEADLINE_WORDS - 1:
            continue
        if slug is None:
            slug = set(_plain_words(unquote(url.rpartition("://")[2].partition("/")[2])))
        words = _plain_words(keys[i])
        found = sum(word in slug for word in words)
        if found >= MIN_HEADLINE_WORDS and found >= MIN_HEADLINE_SHARE * len(words):
            hits[i] = None


def _plain_words(text: str) -> list[str]:
    text = unicodedata.normalize("NFKD", text.casefold())
    return _WORD.findall("".join(char for char in text if not unicodedata.combining(char)))


def _spare_lonely(hits: list[_Hit | None]) -> None:
    """Spare a line of a few pages that opens the text or stands alone between lines of the article.

    Furniture comes in blocks, and what interrupts articles (advertisements) comes on most pages; a refrain, a
    subheading or an article's own headline does neither.
    """
    before = list(hits)
    for i, hit in enumerate(before):
        if hit is None or hit.share >= RARE_SHARE:
            continue
        has_neighbour = i > 0 and (before[i - 1] or (i + 1 < len(before) and before[i + 1]))
        if not has_neighbour:
            hits[i] = None


def _spare_last_text(hits: list[_Hit | None], keys: Sequence[str]) -> None:
    """Spare the sentences of a page that would lose nearly everything: there they are the article."""
    total = sum(map(len, keys))
    if sum(len(key) for key, hit in zip(keys, hits, strict=True) if hit) > MAX_REMOVED_SHARE * total:
        for i, key in enumerate(keys):
            if _is_prose(key):
                hits[i] = None


def _fill_between(hits: list[_Hit | None], texts: Sequence[str], name: str) -> None:
    """Mark a few lines of a word or two between two lines of most pages: counters and names of users.

    Longer ones may be the headline, which often stands between a menu and the share buttons.
    """
    usual = [i for i, hit in enumerate(hits) if hit and hit.share >= USUAL_SHARE]
    for before, after in pairwise(usual):
        gap = [i for i in range(before + 1, after) if hits[i] is None]
        if 0 < len(gap) <= MAX_BETWEEN_LINES and all(_is_short(texts[i]) for i in gap):
            for i in gap:
                hits[i] = _Hit(BETWEEN_SCORE, 0.0, f"a short line between two that stand on most {name}")


def _is_short(text: str) -> bool:
    return len(text) <= MAX_BETWEEN_CHARS and text.count(" ") < MAX_BETWEEN_WORDS and not text.endswith(_STOPS)


def _with_hits(
    document: Document,
    texts: Sequence[str],
    keys: Sequence[str],
    hits: Sequence[_Hit | None],
    source: str,
    categories: Callable[[Sequence[str]], Sequence[str]] | None,
) -> Document:
    def is_open(span: Span) -> bool:
        return span.label == "content" and span.source == "default"

    found = [i for i, hit in enumerate(hits) if hit and is_open(document.spans[i])]
    if not found:
        return document
    guesses = categories([texts[i] for i in found]) if categories else [""] * len(found)
    spans = list(document.spans)
    for i, category in zip(found, guesses, strict=True):
        hit = hits[i]
        assert hit is not None
        spans[i] = replace(
            spans[i],
            label="boilerplate",
            category=category or _category(keys[i]),
            score=hit.score,
            source=source,
            reasons=(hit.reason,),
        )
    return replace(document, spans=tuple(spans))


def _category(key: str) -> str:
    # Lines that come back with other numbers are dates of publication; most other furniture leads to other pages.
    return "metadata" if key.count("0") >= 2 and not _is_prose(key) else "navigation"
