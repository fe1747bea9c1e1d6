import gzip
import io
import random
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from filter import readers
from filter.readers import Item, Reader

PAGE = b"<html><body><p>The court met on Monday.</p></body></html>"


def record(kind, number, block, content_type=b"application/http; msgtype=response", extra=b"", length=None):
    head = (
        b"WARC/1.0\r\nWARC-Type: %s\r\nWARC-Record-ID: <urn:uuid:%d>\r\nWARC-Date: 2024-05-01T00:00:00Z\r\n"
        b"WARC-Target-URI: https://x.org/%d\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
    )
    size = len(block) if length is None else length
    return head % (kind, number, number, extra, content_type, size) + block + b"\r\n\r\n"


def response(number, body=PAGE, content_type=b"text/html", headers=b"", status=b"200 OK"):
    return record(b"response", number, http(body, content_type, headers, status))


def http(body, content_type=b"text/html", headers=b"", status=b"200 OK"):
    return b"HTTP/1.1 %s\r\nContent-Type: %s\r\n%s\r\n%s" % (status, content_type, headers, body)


def conversion(number, text="Uno dos.\n"):
    return record(b"conversion", number, text.encode(), b"text/plain")


def packed(records, ending):
    if ending == ".gz":
        return b"".join(gzip.compress(one, mtime=0) for one in records)
    if ending == ".zst":
        return b"".join(zstandard.ZstdCompressor().compress(one) for one in records)
    return b"".join(records)


def read(path, **options):
    return list(Reader(options.pop("max_chars", 100_000), **options).read([path]))


def ids(outcomes):
    return [outcome.record.id.removeprefix("urn:uuid:") if isinstance(outcome, Item) else "!" for outcome in outcomes]


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_pages_and_texts_are_read_with_address_date_and_id(tmp_path, ending):
    path = tmp_path / f"CC-MAIN-1.warc{ending}"
    info = record(b"warcinfo", 0, b"software: none\r\n", b"application/warc-fields")
    request = record(b"request", 1, b"GET / HTTP/1.1\r\n\r\n", b"application/http; msgtype=request")
    path.write_bytes(packed([info, request, response(2), conversion(3)], ending))
    page, text = read(path)
    assert (page.record.id, page.given_id, page.line) == ("urn:uuid:2", "<urn:uuid:2>", 3)
    assert (page.record.url, page.record.html) == ("https://x.org/2", PAGE)
    assert page.record.meta["warc"]["WARC-Date"] == "2024-05-01T00:00:00Z"
    assert page.record.meta["http"] == {"status": 200, "content_type": "text/html"}
    assert (text.record.text, text.record.meta["warc"]["WARC-Type"], text.line) == ("Uno dos.\n", "conversion", 4)


def test_headers_stand_in_order_whatever_their_case(tmp_path):
    one = record(b"conversion", 1, b"One.", b"text/plain", b"X-A: 1\r\nX-B: 2\r\nX-A: 3\r\n")
    one = one.replace(b"WARC-Record-ID", b"warc-record-id").replace(b"WARC-Target-URI", b"Warc-Target-Uri")
    (tmp_path / "a.warc").write_bytes(one)
    (item,) = read(tmp_path / "a.warc")
    assert list(item.record.meta["warc"].items()) == [
        ("WARC-Type", "conversion"),
        ("WARC-Record-ID", "<urn:uuid:1>"),
        ("WARC-Date", "2024-05-01T00:00:00Z"),
        ("WARC-Target-URI", "https://x.org/1"),
        ("X-A", "1, 3"),
        ("X-B", "2"),
        ("Content-Type", "text/plain"),
        ("Content-Length", "4"),
    ]
    assert (item.record.id, item.record.url) == ("urn:uuid:1", "https://x.org/1")


@pytest.mark.parametrize("name", ["a.wet.gz", "a.warc.wet.gz", "a.WET"])
def test_names_of_wet_files(tmp_path, name):
    (tmp_path / name).write_bytes(packed([conversion(1)], ".gz" if name.endswith("gz") else ""))
    assert ids(read(tmp_path)) == ["1"]


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
def test_standard_input_is_guessed(ending):
    data = io.BufferedReader(io.BytesIO(packed([response(1), conversion(2)], ending)))
    assert ids(read("-", stdin=data)) == ["1", "2"]


@pytest.mark.parametrize(
    ("one", "is_read"),
    [
        pytest.param(response(1, content_type=b"application/xhtml+xml; charset=utf-8"), True, id="XHTML"),
        pytest.param(response(1, b"Plain.", b"text/plain"), True, id="plain text"),
        pytest.param(response(1, b"\x89PNG", b"image/png"), False, id="image"),
        pytest.param(response(1, b"%PDF", b""), False, id="no type, no page"),
        pytest.param(response(1, content_type=b""), True, id="no type, but a page"),
        pytest.param(response(1, status=b"404 Not Found"), False, id="not found"),
        pytest.param(response(1, status=b"301 Moved"), False, id="moved"),
        pytest.param(response(1, status=b"206 Partial"), True, id="part of a page"),
        pytest.param(record(b"resource", 1, PAGE, b"text/html"), True, id="resource"),
        pytest.param(record(b"metadata", 1, b"x: y", b"application/warc-fields"), False, id="metadata"),
        pytest.param(record(b"revisit", 1, http(b"")), False, id="revisit"),
    ],
)
def test_what_is_read_and_what_is_passed_over(tmp_path, one, is_read):
    (tmp_path / "a.warc").write_bytes(one)
    assert ids(read(tmp_path / "a.warc")) == ["1"] * is_read


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        pytest.param(b"<p>a\xf1o", b"text/html; charset=iso-8859-1", "<p>año", id="Latin 1 by the header"),
        pytest.param(b"<p>\x80", b'text/html; charset="ISO-8859-1"', "<p>€", id="Latin 1 as browsers read it"),
        pytest.param("<p>año".encode(), b"text/html; charset=iso-8859-1", "<p>año".encode(), id="header that is wrong"),
        pytest.param(b"<p>\xf1", b"text/html; charset=utf-8", b"<p>\xf1", id="not what the header says"),
        pytest.param(b"<p>\xf1", b"text/html; charset=x-none", b"<p>\xf1", id="charset that is none"),
        pytest.param("<p>語".encode("iso2022_jp"), b"text/html; charset=ISO-2022-JP", "<p>語", id="seven bits"),
    ],
)
def test_charset(tmp_path, body, content_type, expected):
    (tmp_path / "a.warc").write_bytes(response(1, body, content_type))
    (item,) = read(tmp_path / "a.warc")
    assert item.record.html == expected


def chunked(body):
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize(
    ("body", "headers", "note"),
    [
        pytest.param(chunked(PAGE), b"Transfer-Encoding: chunked\r\n", None, id="chunks"),
        pytest.param(gzip.compress(PAGE), b"Content-Encoding: gzip\r\n", None, id="gzip"),
        pytest.param(
            chunked(zlib.compress(PAGE)),
            b"Transfer-Encoding: chunked\r\nContent-Encoding: deflate\r\n",
            None,
            id="both",
        ),
        pytest.param(PAGE, b"Content-Encoding: gzip\r\n", None, id="unpacked by the crawler"),
        pytest.param(
            b"%x\r\n%s\r\n5\r\n<p" % (20 * len(PAGE), 20 * PAGE),
            b"Transfer-Encoding: chunked\r\n",
            "ends early",
            id="cut off",
        ),
    ],
)
def test_content_is_unpacked(tmp_path, body, headers, note):
    (tmp_path / "a.warc").write_bytes(response(1, body, headers=headers))
    (item,) = read(tmp_path / "a.warc")
    assert item.record.html.startswith(PAGE)
    assert item.record.meta["warc"].get("payload") == note


def test_content_that_cannot_be_unpacked_is_set_aside(tmp_path):
    (tmp_path / "a.warc").write_bytes(response(1, b"\x00\xffnoise", headers=b"Content-Encoding: br\r\n") + response(2))
    rejection, item = read(tmp_path / "a.warc")
    assert "content that cannot be unpacked" in rejection.error.reason and rejection.error.line == 1
    assert item.record.id == "urn:uuid:2"


def test_content_that_unfolds_without_end_is_set_aside(tmp_path):
    bomb = gzip.compress(b"<html>" + bytes(50_000_000))
    (tmp_path / "a.warc").write_bytes(response(1, bomb, headers=b"Content-Encoding: gzip\r\n") + response(2))
    rejection, _ = read(tmp_path / "a.warc", max_chars=1000)
    assert "content of over 4,000 bytes" in rejection.error.reason


def test_long_pages_are_set_aside_and_long_images_passed_over(tmp_path):
    image = response(2, b"\x89" * 1_000_000, b"image/png")
    (tmp_path / "a.warc").write_bytes(response(1, PAGE * 10_000) + image + response(3))
    rejection, item = read(tmp_path / "a.warc", max_chars=10_000)
    assert "content of over 40,000 bytes" in rejection.error.reason and rejection.error.line == 1
    assert (item.record.id, item.line) == ("urn:uuid:3", 3)


RECORDS = [response(number, b"<p>" + random.Random(number).randbytes(3000)) for number in range(20)]


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
@pytest.mark.parametrize("lost", [5, 1000, 30_000])
def test_cut_off_archive_gives_every_complete_record_and_says_so(tmp_path, ending, lost):
    data = packed(RECORDS, ending)
    sizes = [len(packed([one], ending)) for one in RECORDS]
    whole = max(n for n in range(21) if sum(sizes[:n]) <= len(data) - lost)
    path = tmp_path / f"a.warc{ending}"
    path.write_bytes(data[:-lost])
    *items, last = read(path)
    # Of a member without its checksum, the record may be whole.
    assert ids(items) in [[str(number) for number in range(n)] for n in (whole, whole + (ending != "" and lost == 5))]
    assert "cut off" in last.error.reason and last.error.path == str(path)


def test_zeros_after_the_last_member_are_no_damage(tmp_path):
    (tmp_path / "a.warc.gz").write_bytes(packed(RECORDS, ".gz") + bytes(1000))
    assert ids(read(tmp_path / "a.warc.gz")) == [str(number) for number in range(20)]


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(random.Random(1).randbytes(5000), id="noise"),
        pytest.param(b"x" * 200_000 + b"\n", id="long line"),
        pytest.param(b"WARC/1.0\r\nno header\r\n\r\n", id="record without a header"),
        pytest.param(b"WARC/1.0\r\nContent-Length: many\r\n\r\n", id="length that is no number"),
    ],
)
def test_garbage_between_records_is_reported_once_and_all_records_are_read(tmp_path, ending, noise):
    (tmp_path / f"a.warc{ending}").write_bytes(packed(RECORDS[:3], ending) + noise + packed(RECORDS[3:6], ending))
    outcomes = read(tmp_path / f"a.warc{ending}")
    assert ids(outcomes) == ["0", "1", "2", "!", "3", "4", "5"]
    assert f"at byte {len(packed(RECORDS[:3], ending)):,}" in outcomes[3].error.reason


@pytest.mark.parametrize("at", [10, 100, 1500, 3000])
def test_damaged_member_costs_only_itself(tmp_path, at):
    members = [packed([one], ".gz") for one in RECORDS[:5]]
    members[2] = members[2][:at] + b"\xff\x00\xff\x00" + members[2][at + 4 :]
    for source in (members, [*members[:2], members[2][:at], *members[3:]]):
        (tmp_path / "a.warc.gz").write_bytes(b"".join(source))
        outcomes = read(tmp_path / "a.warc.gz")
        assert ids(outcomes) == ["0", "1", "!", "3", "4"]
        piped = read("-", kind="warc", stdin=io.BufferedReader(io.BytesIO(b"".join(source))))
        assert ids(piped)[:3] == ["0", "1", "!"]


@pytest.mark.parametrize("wrong", [-500, 500, 4000])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_wrong_length_does_not_cost_the_next_record(tmp_path, wrong, ending):
    block = http(b"<p>" + b"y" * 3000)
    bad = record(b"response", 1, block, length=len(block) + wrong)
    (tmp_path / f"a.warc{ending}").write_bytes(packed([RECORDS[0], bad, *RECORDS[2:4]], ending))
    assert ids(read(tmp_path / f"a.warc{ending}")) == ["0", "!", "2", "3"]


def test_wrong_length_that_ends_where_the_next_header_does(tmp_path):
    head, _, _ = RECORDS[1].partition(b"\r\n\r\n")
    short = http(b"<p>x")
    swallowed = b"\r\n\r\n" + head
    bad = record(b"response", 0, short, length=len(short + swallowed))
    assert bad.endswith(b"x\r\n\r\n")
    (tmp_path / "a.warc").write_bytes(bad + RECORDS[1] + RECORDS[2])
    assert ids(read(tmp_path / "a.warc")) == ["!", "1", "2"]


@pytest.mark.parametrize("size", [None, 1000], ids=["one member", "members that end anywhere"])
def test_archives_packed_otherwise_than_record_by_record(tmp_path, size):
    data = packed(RECORDS, "")
    step = size or len(data)
    (tmp_path / "a.warc.gz").write_bytes(
        b"".join(gzip.compress(data[at : at + step]) for at in range(0, len(data), step))
    )
    assert ids(read(tmp_path / "a.warc.gz")) == [str(number) for number in range(20)]


def told(outcomes):
    return [outcome if isinstance(outcome, Item) else str(outcome.error) for outcome in outcomes]


@pytest.mark.parametrize("ending", ["", ".gz"])
@given(
    kinds=st.lists(st.sampled_from(["page", "image", "noise", "cut", "wrong"]), max_size=12),
    max_bytes=st.integers(1, 20_000),
)
def test_shards_give_what_the_whole_archive_gives(tmp_path_factory, ending, kinds, max_bytes):
    block = http(b"<p>" + b"y" * 3000)
    made = {
        "page": lambda n: packed([RECORDS[n]], ending),
        "image": lambda n: packed([response(n, b"\x89PNG", b"image/png")], ending),
        "noise": lambda n: b"noise",
        "cut": lambda n: packed([RECORDS[n]], ending)[:1500],
        "wrong": lambda n: packed([record(b"response", n, block, length=len(block) + 3000)], ending),
    }
    path = tmp_path_factory.mktemp("warc") / f"a.warc{ending}"
    path.write_bytes(packed([RECORDS[0]], ending) + b"".join(made[kind](n) for n, kind in enumerate(kinds, 1)))
    reader = Reader(100_000)
    shards = list(reader.plan([path], max_bytes))
    outcomes = [outcome for shard in shards for outcome in reader.read_shard(shard)]
    assert told(outcomes) == told(read(path))
    if not set(kinds) - {"page", "image"} and path.stat().st_size > 2 * max_bytes + 8000:
        assert len(shards) > 1


@given(st.binary(max_size=300), st.sampled_from(["", ".gz"]), st.booleans())
def test_any_bytes_are_read_or_reported(data, ending, is_packed):
    data = packed([data], ending) if is_packed else data
    outcomes = read("-", kind="warc", stdin=io.BufferedReader(io.BytesIO(data)))
    assert all(isinstance(one, Item) or (one.error.reason and one.error.remedy) for one in outcomes)


def test_empty_archive_is_reported(tmp_path):
    for name in ("a.warc", "a.warc.gz"):
        (tmp_path / name).write_bytes(b"")
        (rejection,) = read(tmp_path / name)
        assert rejection.error.reason == "the file is empty"


def test_failing_disk_is_reported(tmp_path, monkeypatch):
    (tmp_path / "a.warc").write_bytes(response(1))

    class Failing(io.BytesIO):
        def read1(self, size=-1):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(readers.Path, "open", lambda self, mode: Failing())
    (rejection,) = read(tmp_path / "a.warc")
    assert "reading failed (Input/output error)" in rejection.error.reason
