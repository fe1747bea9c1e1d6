"""Arrow tables in, Arrow tables out: one function for Ray Data, Spark, Polars, DuckDB and Hugging Face datasets.

The output columns are the fields of an output record (`output.schema.json`), one row per part; only `meta`, which may
hold anything, is JSON in a string. `docs/integrations.md` shows how each engine calls it. Needs pyarrow, which comes
with the extra `parquet`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import Config
from .document import Document, Record, Verdict
from .errors import InputError, UsageError
from .tables import pyarrow

if TYPE_CHECKING:
    import pyarrow as pa

    from .readers import Fields, Item, Reader

__all__ = ["from_row", "is_text", "output_schema", "process_batches", "process_table", "to_table"]

_DEFAULT = Config()
_ROWS = 1000  # of a table, that are analysed at a time
_PLACE = "table"  # stands where the path of a file would
_SCALARS = {"string": "string", "integer": "int64", "number": "float64", "boolean": "bool_"}


@functools.cache
def _json_schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((Path(__file__).parent / "output.schema.json").read_text(encoding="utf-8"))
    return schema


def output_schema() -> pa.Schema:
    """Return the Arrow schema of the output: that of `output.schema.json`, field by field.

    Raises:
        UsageError: pyarrow is not installed.

    >>> output_schema().field("kept").type
    ListType(list<item: list<item: int64>>)
    """
    arrow = pyarrow("Arrow")
    fields = [arrow.field(name, _type(one)) for name, one in _json_schema()["properties"].items()]
    version = str(_json_schema()["properties"]["schema"]["const"])
    return arrow.schema(fields, metadata={"textsieve.schema": version})


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        return _resolved(_json_schema()["$defs"][schema["$ref"].rpartition("/")[2]])
    return schema


def _is_free(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "object" and "properties" not in schema


def is_text(name: str) -> bool:
    """Return whether an output field is a string.

    >>> is_text("lang"), is_text("kept")
    (True, False)
    """
    kind = _resolved(_json_schema()["properties"][name]).get("type")
    return "string" in (kind if isinstance(kind, list) else [kind])


def _type(schema: Mapping[str, Any]) -> Any:
    """Return the Arrow type of what a JSON Schema describes; objects without known fields become JSON in a string."""
    arrow = pyarrow("Arrow")
    schema = _resolved(schema)
    if "const" in schema or "enum" in schema:
        example = schema.get("const", (schema.get("enum") or [""])[0])
        return arrow.int64() if isinstance(example, int) else arrow.string()
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    (kind,) = (kind for kind in kinds if kind != "null")
    if kind == "array":
        return arrow.list_(_type(schema["items"] if "items" in schema else schema["prefixItems"][0]))
    if kind == "object" and not _is_free(schema):
        return arrow.struct([arrow.field(name, _type(one)) for name, one in schema["properties"].items()])
    return getattr(arrow, _SCALARS.get(kind, "string"))()


def to_table(records: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return output records as a table of `output_schema()`."""
    from .writers import dumps

    free = [name for name, schema in _json_schema()["properties"].items() if _is_free(schema)]
    rows = [{**record, **{name: dumps(record[name]).decode().rstrip("\n") for name in free}} for record in records]
    return pyarrow("Arrow").Table.from_pylist(rows, schema=output_schema())


def from_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the output record that a row holds; the inverse of `to_table`."""
    record: dict[str, Any] = _from_value(row, _json_schema())
    return record


def _from_value(value: Any, schema: Mapping[str, Any]) -> Any:
    schema = _resolved(schema)
    if value is None:
        return None
    if _is_free(schema):
        return json.loads(value)
    if isinstance(value, Mapping):
        # A field that may be missing is null in a table.
        required = schema["required"]
        return {
            name: _from_value(value.get(name), one)
            for name, one in schema["properties"].items()
            if name in required or value.get(name) is not None
        }
    if isinstance(value, list) and "items" in schema:
        return [_from_value(item, schema["items"]) for item in value]
    return value


def process_table(
    table: pa.Table | pa.RecordBatch,
    config: Config = _DEFAULT,
    *,
    fields: Fields | None = None,
    removed_text: bool = True,
) -> pa.Table:
    r"""Return the analysis of a table: one row per part of each row's text or page.

    A row that cannot be used is not lost: it gives a row without text whose verdict says why. Ids are unique within the
    table; a row without one is called by its number, counted from 1.

    Args:
        table: with a column of texts or of pages of HTML (str or bytes), and if you like of ids and addresses; all
            other columns come out as JSON under `meta`.
        config: what to do.
        fields: what the columns are called.
        removed_text: whether removals carry their text.

    Raises:
        UsageError: there is neither a column of texts nor one of pages, or pyarrow is not installed.

    >>> import pyarrow as pa
    >>> table = pa.table({"id": ["a"], "text": ["The court met on Monday.\nSubscribe to our newsletter\n"]})
    >>> process_table(table).select(["id", "lang", "text"]).to_pylist()
    [{'id': 'a', 'lang': 'en', 'text': 'The court met on Monday.\n'}]
    """
    batches = table.to_batches(max_chunksize=_ROWS) if hasattr(table, "to_batches") else [table]
    analysed = list(process_batches(batches, config, fields=fields, removed_text=removed_text))
    return pyarrow("Arrow").Table.from_batches(analysed, schema=output_schema())


def process_batches(
    batches: Iterable[pa.RecordBatch],
    config: Config = _DEFAULT,
    *,
    fields: Fields | None = None,
    removed_text: bool = True,
) -> Iterator[pa.RecordBatch]:
    """Yield the analysis of each batch of rows; as `process_table`, for engines that hand over one batch after another.

    Ids are unique within all the batches of one call. An engine that calls it once per partition should give the rows
    ids of their own.
    """
    from .readers import Fields, Reader
    from .writers import Unique, part_records

    fields = fields or Fields()
    reader = Reader(config.max_text_chars, fields=fields)
    take = Unique().take
    first = 1
    for batch in batches:
        _check_columns(batch.schema.names, fields)
        records = [
            record
            for document, item in _analysed(batch, first, reader, config)
            for record in part_records(document, item, take, removed_text=removed_text)
        ]
        yield from to_table(records).combine_chunks().to_batches()
        first += batch.num_rows


def _check_columns(names: list[str], fields: Fields) -> None:
    if fields.text not in names and fields.html not in names:
        raise UsageError(
            f"no column {fields.text!r} or {fields.html!r} among {', '.join(names)}; "
            "name one with fields=Fields(text=...) or Fields(html=...)"
        )


def _analysed(batch: pa.RecordBatch, first: int, reader: Reader, config: Config) -> Iterator[tuple[Document, Item]]:
    from .batch import Analysed, analyse
    from .readers import Item, Rejection, placed
    from .tables import plain

    rows = dict(enumerate(batch.to_pylist(), first))

    def items() -> Iterator[Item | Rejection]:
        for number, row in rows.items():
            try:
                record, given_id = reader.record(plain(row, keep=reader.fields.html), str(number))
                yield Item(record, _PLACE, number, given_id)
            except InputError as error:
                yield Rejection(placed(error, _PLACE, number))

    for outcome in analyse(items(), config):
        if isinstance(outcome, Analysed):
            yield outcome.document, outcome.item
            continue
        error = outcome.error
        assert error.line is not None
        fields = plain(rows[error.line])
        for name in (reader.fields.text, reader.fields.html):
            fields.pop(name, None)
        given_id, url = (fields.pop(name, None) for name in (reader.fields.id, reader.fields.url))
        given_id = None if given_id is None else str(given_id)
        verdict = Verdict(keep=False, reasons=(f"{error.reason}; {error.remedy}",))
        record = Record(given_id or str(error.line), "", url=url if isinstance(url, str) else None, meta=fields)
        document = Document("", id=record.id, url=record.url, meta=fields, verdict=verdict)
        yield document, Item(record, _PLACE, error.line, given_id)
