import json

import jsonschema
import pytest

from filter import Config, pipeline
from filter.errors import UsageError
from filter.readers import Fields

from .test_writers import schema
from .toys import by_first_word

pa = pytest.importorskip("pyarrow")
arrow = pytest.importorskip("filter.arrow")


@pytest.fixture(autouse=True)
def toy_stages(monkeypatch):
    monkeypatch.setattr(pipeline, "_stages", lambda: (by_first_word,))


TABLE = pa.table(
    {
        "id": ["a", None, "c", "d"],
        "text": ["EN One\nAD two\nES Tres\n", "EN Two\n", None, "CRASH"],
        "date": [1, 2, 3, 4],
    }
)


def test_rows_of_the_result_are_output_records():
    rows = arrow.process_table(TABLE).to_pylist()
    assert [(row["id"], row["lang"], row["text"]) for row in rows] == [
        ("a#en", "en", "EN One\n"),
        ("a#es", "es", "ES Tres\n"),
        ("2", "en", "EN Two\n"),
        ("c", "und", ""),
        ("d", "und", ""),
    ]
    validator = jsonschema.Draft202012Validator(schema())
    for row in rows:
        validator.validate(arrow.from_row(row))
    assert [json.loads(row["meta"]) for row in rows] == [{"date": n} for n in (1, 1, 2, 3, 4)]
    assert rows[0]["removed"][0]["text"] == "AD two\n"


def test_rows_that_cannot_be_used_say_why():
    *_, empty, crash = arrow.process_table(TABLE).to_pylist()
    assert not empty["verdict"]["keep"] and "neither 'text' nor 'html'" in empty["verdict"]["reasons"][0]
    assert "the toy broke" in crash["verdict"]["reasons"][0]
    assert (empty["source"]["line"], crash["source"]["line"]) == (3, 4)


def test_size_of_batches_changes_nothing():
    whole = arrow.process_table(TABLE)
    for size in (1, 2, 3):
        batches = list(arrow.process_batches(TABLE.to_batches(max_chunksize=size)))
        assert pa.Table.from_batches(batches) == whole
        assert all(batch.schema == arrow.output_schema() for batch in batches)
    assert arrow.process_table(TABLE.combine_chunks().to_batches()[0]) == whole


def test_table_without_rows_has_all_columns():
    result = arrow.process_table(TABLE.slice(0, 0))
    assert (result.num_rows, result.schema) == (0, arrow.output_schema())


def test_columns_can_be_named_and_pages_may_be_bytes():
    page = "<html><body><article><p>EN The court met on Monday, and then again.</p></article></body></html>"
    table = pa.table({"page": [page.encode()], "key": [1], "raw": [b"\xff"]})
    (row,) = arrow.process_table(table, fields=Fields(html="page", id="key")).to_pylist()
    assert (row["id"], json.loads(row["meta"])) == ("1", {"raw": "/w=="})
    assert "The court met" in row["text"]


def test_missing_column_is_named():
    with pytest.raises(UsageError, match=r"no column 'text' or 'html' among a; name one with fields=Fields"):
        arrow.process_table(pa.table({"a": [1]}))


def test_removed_text_can_be_left_out():
    (row, _) = arrow.process_table(TABLE.slice(0, 1), Config(), removed_text=False).to_pylist()
    assert row["removed"][0]["text"] is None
