import csv
import json

import pytest
from fastwarc.warc import ArchiveIterator
from hypothesis import given, settings
from hypothesis import strategies as st

from filter import Config, Record, Span, Verdict, pipeline
from filter.command import main
from filter.document import PartNote
from filter.errors import InputError, UsageError
from filter.exports import ENDINGS, export_file, exported_records
from filter.quality import MEASURES
from filter.readers import Item, Reader
from filter.writers import FolderWriter, Unique, dumps, part_records

from .test_warc import packed, response
from .test_writers import ITEM, document, lines
from .toys import by_first_word

pytest.importorskip("pyarrow")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "_stages", lambda: (by_first_word,))
    monkeypatch.chdir(tmp_path)
    texts = [
        "EN One\nAD two\nES Tres\nSPAM\n",
        "=cmd|' /C calc'!A0\r\n",
        "'tis\n",
        "EN \u2028\t\x0b é中😀\n\n",
        " \n",
        "AD\n",
    ]
    rows = [{"text": text, "url": "https://x.org/", "n": 2**70, "s": "\ud800"} for text in texts]
    (tmp_path / "in.jsonl").write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    return tmp_path


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), min_size=3),
    meta=st.dictionaries(st.text(max_size=5), VALUES, max_size=3),
    name=st.text(st.characters(exclude_categories=["Cs"])),
    removed_text=st.booleans(),
)
@settings(max_examples=40)
@pytest.mark.parametrize("to", ENDINGS)
def test_every_record_comes_back_from_every_format(tmp_path_factory, to, text, meta, name, removed_text):
    folder = tmp_path_factory.mktemp("export")
    spans = (Span(0, 1, "boilerplate", "en", 0.5, "rule:a/b", "legal", ("why", name)), Span(1, len(text), lang="en"))
    documents = [document(text, spans, id=name, meta=meta), document(verdict=Verdict(False, (name,)), url=name)]
    # What is there only when asked for: in one record, and as an empty list.
    measured = PartNote(measures=dict.fromkeys(MEASURES, 0.5))
    weak = Span(1, len(text), "ai_padding", "en", 0.5, "model:sections", "", (name,))
    documents += [document(text, spans, review=(weak,), notes={"en": measured}), document(review=())]
    take = Unique().take
    records = [record for one in documents for record in part_records(one, ITEM, take, removed_text=removed_text)]
    source, target = folder / "a.jsonl", folder / f"a{ENDINGS[to]}"
    source.write_bytes(b"".join(map(dumps, records)))
    export_file(source, target, to)
    assert list(exported_records(target)) == lines(source)
    before = target.read_bytes()
    export_file(source, target, to)
    assert target.read_bytes() == before


@pytest.mark.parametrize("to", ENDINGS)
@pytest.mark.parametrize("by_language", [False, True])
def test_a_run_in_every_format_can_be_restored(folder, to, by_language):
    options = ["--by-language"] if by_language else []
    assert main(["run", "in.jsonl", "-o", "plain", *options]) == 0
    assert main(["run", "in.jsonl", "-o", "out", "--to", to, *options]) == 0
    names = [path.name.replace(".jsonl", ENDINGS[to]) for path in (folder / "plain").glob("d*.jsonl")]
    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted(
        [*names, "rejected.jsonl", "summary.json"]
    )
    for name in ("plain", "out"):
        assert main(["restore", name, "-o", f"{name}-back"]) == 0
    back = [{p.name: p.read_bytes() for p in (folder / f"{name}-back").iterdir()} for name in ("plain", "out")]
    assert back[0] == back[1] and len(back[0]) == 6


@pytest.mark.parametrize("to", ENDINGS)
def test_file_without_records_is_no_fault(folder, to):
    (folder / "a.txt").write_bytes(b"EN One\n")
    assert main(["run", "a.txt", "-o", "out", "--to", to]) == 0
    assert list(exported_records(folder / "out" / f"dropped{ENDINGS[to]}")) == []
    assert main(["restore", "out", "-o", "back"]) == 0


def test_results_in_another_format_are_results_too(folder, capsys):
    assert main(["run", "in.jsonl", "-o", "out", "--to", "parquet"]) == 0
    assert main(["run", "in.jsonl", "-o", "out"]) == 2
    assert "documents.parquet: exists already" in capsys.readouterr().err or (folder / "out" / "summary.json").exists()
    assert main(["run", "in.jsonl", "-o", "out", "--to", "csv", "--force"]) == 0
    assert sorted(path.suffix for path in (folder / "out").iterdir()) == [".csv", ".csv", ".json", ".jsonl"]


def test_no_cell_of_csv_is_a_formula(folder):
    main(["run", "in.jsonl", "-o", "out", "--to", "csv"])
    with (folder / "out" / "documents.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert any(row["text"] == "'=cmd|' /C calc'!A0\r\n" for row in rows)
    assert not [cell for row in rows for cell in row.values() if cell[:1] in "=+-@\t\r\n" and cell]


def test_nul_is_no_byte_of_csv(folder):
    text = 'EN \0\n\'"\0"\n'
    (folder / "nul.jsonl").write_text(json.dumps({"id": "a", "text": text}))
    assert main(["run", "nul.jsonl", "-o", "out", "--to", "csv"]) == 0
    assert b"\0" not in (folder / "out" / "documents.csv").read_bytes()
    assert main(["restore", "out", "-o", "back"]) == 0
    assert [path.read_bytes() for path in (folder / "back").iterdir()] == [text.encode()]


def test_warc_of_warc_refers_to_its_records(folder):
    (folder / "in.warc.gz").write_bytes(packed([response(7, b"EN One\nAD two\nSPAM\n", b"text/plain")], ".gz"))
    assert main(["run", "in.warc.gz", "-o", "out", "--to", "warc"]) == 0
    info, part, metadata = [
        (record.headers.to_dict(), record.reader.read())
        for record in ArchiveIterator(str(folder / "out" / "documents.warc.gz"), verify_digests=False)
    ]
    assert info[0]["WARC-Type"] == "warcinfo"
    headers, text = part
    assert text == b"EN One\nSPAM\n"
    assert (headers["WARC-Type"], headers["Content-Type"]) == ("conversion", "text/plain; charset=utf-8")
    assert headers["WARC-Refers-To"] == "<urn:uuid:7>"
    assert (headers["WARC-Target-URI"], headers["WARC-Date"]) == ("https://x.org/7", "2024-05-01T00:00:00Z")
    assert (headers["Content-Language"], headers["Textsieve-Flags"]) == ("en", "spam=5")
    assert headers["Textsieve-Removed"] == "boilerplate=7"
    assert metadata[0]["WARC-Refers-To"] == headers["WARC-Record-ID"]
    assert json.loads(metadata[1])["removed"][0]["text"] == "AD two\n"


def test_warc_that_was_written_can_be_read(folder):
    main(["run", "in.jsonl", "-o", "out", "--to", "warc"])
    items = list(Reader(10_000).read([folder / "out" / "documents.warc.gz"]))
    texts = [item.record.text for item in items]
    main(["run", "in.jsonl", "-o", "plain"])
    assert texts == [record["text"] for record in lines(folder / "plain" / "documents.jsonl")]
    assert items[0].record.url == "https://x.org/"


def test_hostile_ids_stay_in_their_header(tmp_path):
    hostile = "a\r\nWARC-Type: response\r\n\r\nx"
    with FolderWriter(tmp_path / "out", Config(), export="warc") as writer:
        writer.write(document(id=hostile, url=hostile), Item(Record(text=""), "in"))
    types = [record.headers["WARC-Type"] for record in ArchiveIterator(str(tmp_path / "out" / "documents.warc.gz"))]
    assert types == ["warcinfo", *["conversion", "metadata"] * 2]
    assert [r["parent"] for r in exported_records(tmp_path / "out" / "documents.warc.gz")] == [hostile] * 2


def test_date_of_records_without_one_can_be_set(folder, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1714521600")
    main(["run", "in.jsonl", "-o", "out", "--to", "warc"])
    dates = {record.headers["WARC-Date"] for record in ArchiveIterator(str(folder / "out" / "documents.warc.gz"))}
    assert dates == {"2024-05-01T00:00:00Z"}


@pytest.mark.parametrize("to", ENDINGS)
def test_damaged_results_are_reported(folder, to, capsys):
    main(["run", "in.jsonl", "-o", "out", "--to", to])
    path = folder / "out" / f"documents{ENDINGS[to]}"
    path.write_bytes(path.read_bytes()[:-20])
    outcomes = list(exported_records(path))
    assert any(isinstance(outcome, InputError) and outcome.path == str(path) for outcome in outcomes)
    assert main(["restore", "out", "-o", "back"]) == 1


def test_missing_library_is_said_before_the_run(folder, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert main(["run", "in.jsonl", "-o", "out", "--to", "parquet"]) == 2
    assert "needs pyarrow; install it: pip install 'textsieve[parquet]'" in capsys.readouterr().err
    assert not (folder / "out").exists()
    with pytest.raises(UsageError):
        FolderWriter(folder / "out", Config(), export="parquet")
