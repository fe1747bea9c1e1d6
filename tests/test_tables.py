import csv
import datetime
import decimal
import io
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter.errors import UsageError
from filter.readers import Fields, Item, Reader

from .test_readers import PACKED, read, records, told


@pytest.mark.parametrize("ending", PACKED)
def test_csv_rows_are_records(tmp_path, ending):
    path = tmp_path / f"a.csv{ending}"
    data = '\ufeffid,text,url,author\r\na,"One, ""two""\r\nThree",https://x.org/,Ana\r\n\r\n,Four,,\r\n'.encode()
    path.write_bytes(PACKED[ending](data))
    first, second = read(path)
    assert (first.record.id, first.record.text, first.record.url) == ("a", 'One, "two"\r\nThree', "https://x.org/")
    assert (first.record.meta, first.line, first.given_id) == ({"author": "Ana"}, 2, "a")
    assert (second.record.id, second.record.text, second.record.url, second.line) == ("a:5", "Four", None, 5)


def test_columns_can_be_named(tmp_path):
    (tmp_path / "a.tsv").write_text("key\tbody\tlink\ttext\n1\tOne\thttps://x.org/\tx\n")
    fields = Fields(text="body", url="link", id="key")
    (record,) = records(tmp_path / "a.tsv", fields=fields)
    assert (record.id, record.text, record.url, record.meta) == ("1", "One", "https://x.org/", {"text": "x"})


def test_empty_cell_is_no_page(tmp_path):
    (tmp_path / "a.csv").write_text("text,html\nOne,\n,<p>Two\n")
    first, second = records(tmp_path / "a.csv")
    assert (first.text, first.html, second.text, second.html) == ("One", None, None, "<p>Two")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param(b"a,b,c", "a row of 3 cells under a header of 2", id="cells too many"),
        pytest.param(b"a", "a row of 1 cells under a header of 2", id="cells too few"),
        pytest.param(b'"a"b,c', "not CSV (',' expected after '\"')", id="quote in the middle"),
        pytest.param(b"a\xf1,b", "not UTF-8: byte 0xf1 at offset 1", id="Latin 1"),
        pytest.param(b"a\0,b", "NUL byte", id="NUL"),
        pytest.param(b"x" * 5000 + b",b", "over 4,000 bytes", id="long line"),
    ],
)
def test_bad_rows_are_set_aside_and_the_others_are_read(tmp_path, row, reason):
    (tmp_path / "a.csv").write_bytes(b"text,note\nOne,1\n" + row + b"\nTwo,2\n")
    first, rejection, second = read(tmp_path / "a.csv")
    assert (first.record.text, second.record.text, second.line) == ("One", "Two", 4)
    assert reason in rejection.error.reason and rejection.error.line == 3


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "the file is empty", id="nothing"),
        pytest.param(b"id,text\n", "no rows below the first one", id="nothing but a header"),
        pytest.param(b"id;text\n1;One\n", "cells that are parted by ';': 'id;text'", id="semicolons"),
        pytest.param(b"a,a\n1,2\n", "two columns are called 'a'", id="same name twice"),
        pytest.param(b"text\xf1\nOne\n", "not UTF-8", id="header in Latin 1"),
    ],
)
def test_csv_without_a_header(tmp_path, data, reason):
    (tmp_path / "a.csv").write_bytes(data)
    (rejection,) = read(tmp_path / "a.csv")
    assert reason in rejection.error.reason


def test_open_quote_costs_no_more_than_its_limit(tmp_path):
    rows = b"".join(b"%d,x\n" % number for number in range(2000))
    (tmp_path / "a.csv").write_bytes(b'text,note\n"One,1\n' + rows)
    outcomes = read(tmp_path / "a.csv")
    assert all("CSV" in str(one.error) for one in outcomes if not isinstance(one, Item))
    assert csv.field_size_limit() >= 4000


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=2, max_size=2),
        min_size=1,
    )
)
def test_any_cells_come_through(tmp_path_factory, rows):
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["text", "note"], *rows])
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(file.getvalue().encode())
    assert [[record.text, record.meta["note"]] for record in records(path)] == rows


def test_missing_pyarrow_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match=r"Parquet needs pyarrow; install it: pip install 'textsieve\[parquet\]'"):
        read(tmp_path / "a.parquet")


def parquet(path, columns, **options):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    write_table(arrow.table(columns), path, **options)


def test_parquet_rows_are_records(tmp_path):
    path = tmp_path / "a.parquet"
    columns = {
        "id": [7, None],
        "text": ["One", "Two"],
        "url": ["https://x.org/", None],
        "at": [datetime.datetime(2024, 5, 1), None],
        "price": [decimal.Decimal("1.50"), None],
        "raw": [b"\xff", b"text"],
        "tags": [["a"], []],
        "deep": [{"n": 2**62}, None],
    }
    parquet(path, columns)
    first, second = read(path)
    assert (first.record.id, first.given_id, first.line, first.record.url) == ("7", "7", 1, "https://x.org/")
    assert first.record.meta == {
        "at": "2024-05-01T00:00:00",
        "price": "1.50",
        "raw": "/w==",
        "tags": ["a"],
        "deep": {"n": 2**62},
    }
    assert (second.record.id, second.line, second.record.meta["at"]) == ("a:2", 2, None)
    json.dumps([first.record.meta, second.record.meta])


def test_pages_in_parquet_may_be_bytes(tmp_path):
    parquet(tmp_path / "a.parquet", {"html": [b"<p>a\xf1o", b"<p>x"], "text": [None, None]})
    assert [record.html for record in records(tmp_path / "a.parquet")] == [b"<p>a\xf1o", b"<p>x"]


def test_bad_rows_of_parquet_are_set_aside(tmp_path):
    parquet(tmp_path / "a.parquet", {"text": ["One", None, "Two"]})
    first, rejection, second = read(tmp_path / "a.parquet")
    assert (first.record.text, second.record.text) == ("One", "Two")
    assert rejection.error.line == 2 and "neither 'text' nor 'html'" in rejection.error.reason


@pytest.mark.parametrize("lost", [1, 3000, 60_000])
def test_cut_off_parquet_is_reported(tmp_path, lost):
    parquet(tmp_path / "a.parquet", {"text": [random.Random(n).randbytes(40).hex() for n in range(1000)]})
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(data[:-lost])
    (tmp_path / "b.txt").write_text("One")
    rejection, item = read(tmp_path)
    assert "not Parquet" in rejection.error.reason and "fetch the file again" in rejection.error.remedy
    assert item.record.text == "One"


def test_damaged_parquet_is_reported_after_the_rows_before_it(tmp_path):
    texts = [random.Random(n).randbytes(400).hex() for n in range(1000)]
    parquet(tmp_path / "a.parquet", {"text": texts}, row_group_size=100, compression="zstd", use_dictionary=False)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20_000] = bytes(20_000)
    (tmp_path / "a.parquet").write_bytes(data)
    *items, rejection = read(tmp_path / "a.parquet")
    assert len(items) >= 100 and [item.record.text for item in items] == texts[: len(items)]
    assert "damaged Parquet" in rejection.error.reason and rejection.error.line == len(items) + 1


def test_shards_of_parquet_give_what_the_whole_file_gives(tmp_path):
    path = tmp_path / "a.parquet"
    parquet(path, {"text": [str(n) * 50 for n in range(100)]}, row_group_size=7)
    reader = Reader(1000)
    shards = list(reader.plan([path], 2000))
    assert len(shards) > 3
    assert told(outcome for shard in shards for outcome in reader.read_shard(shard)) == told(read(path))


def test_parquet_from_a_pipe_is_refused_with_a_reason():
    (rejection,) = read("-", stdin=io.BufferedReader(io.BytesIO(b"PAR1....")))
    assert "cannot be read from a pipe" in rejection.error.reason


def test_empty_parquet(tmp_path):
    parquet(tmp_path / "a.parquet", {"text": []})
    (rejection,) = read(tmp_path / "a.parquet")
    assert rejection.error.reason == "the file is empty"
