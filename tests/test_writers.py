import hashlib
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter import Config, Document, Policy, Span, Verdict
from filter.command import main
from filter.document import PartNote
from filter.errors import InputError, UsageError
from filter.quality import MEASURES, measures
from filter.readers import Item, Record, Rejection
from filter.writers import FolderWriter, StreamWriter, Unique, dumps, part_records, safe_name

from .conftest import ROOT

ITEM = Item(Record(text=""), "in.jsonl", 3, "given")
TEXT = "One\nAD two\nTres\nSPAM\n"
SPANS = (
    Span(0, 4, lang="en"),
    Span(4, 11, "boilerplate", "en", 0.987654, "rule:web/ad", "advertising", ("a marker",)),
    Span(11, 16, lang="es"),
    Span(16, 21, "spam", "es", 0.5, "model:sections"),
)


def document(text=TEXT, spans=SPANS, **fields):
    return Document(text, id=fields.pop("id", "a"), **fields).with_spans(spans)


def schema():
    return json.loads((ROOT / "filter" / "output.schema.json").read_text(encoding="utf-8"))


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_record_of_each_part_holds_everything_the_schema_asks_for():
    english, spanish = part_records(document(url="https://x.org/", meta={"n": 1}), ITEM, Unique().take)
    assert english == {
        "schema": 1,
        "id": "a#en",
        "parent": "a",
        "siblings": ["a#es"],
        "source": {"path": "in.jsonl", "line": 3, "id": "given"},
        "url": "https://x.org/",
        "lang": "en",
        "second_opinion": None,
        "translation_of": None,
        "translation_score": None,
        "text": "One\n",
        "kept": [[0, 4]],
        "flags": [],
        "removed": [
            {
                "start": 4,
                "end": 11,
                "label": "boilerplate",
                "category": "advertising",
                "lang": "en",
                "score": 0.9877,
                "source": "rule:web/ad",
                "reasons": ["a marker"],
                "text": "AD two\n",
            }
        ],
        "verdict": {"keep": True, "reasons": []},
        "parent_chars": 21,
        "parent_sha256": hashlib.sha256(TEXT.encode()).hexdigest(),
        "meta": {"n": 1},
    }
    assert (spanish["id"], spanish["siblings"], spanish["text"]) == ("a#es", ["a#en"], "Tres\nSPAM\n")
    assert spanish["flags"] == [
        {"start": 16, "end": 21, "label": "spam", "lang": "es", "score": 0.5, "source": "model:sections", "reasons": []}
    ]
    assert spanish["removed"] == []


def test_records_follow_the_published_schema(tmp_path):
    validator = jsonschema.Draft202012Validator(schema())
    nothing_kept = document(policy=Policy(spam="strip"), text="AD", spans=(Span(0, 2, "boilerplate"),))
    for item, doc in ((ITEM, document()), (Item(Record(text=""), "-"), nothing_kept), (ITEM, document("", ()))):
        for record in part_records(doc, item, Unique().take):
            validator.validate(json.loads(dumps(record)))


def test_what_is_only_there_when_asked_for_follows_the_schema_too():
    validator = jsonschema.Draft202012Validator(schema())
    weak = Span(0, 4, "ai_padding", "en", 0.6, "model:sections", reasons=("stock phrases",))
    doc = document(review=(weak,))
    numbers = {name: float(column[0]) for name, column in measures(["One"]).items()}
    doc = replace(doc, notes={"en": PartNote(measures=numbers)})
    english, spanish = (json.loads(dumps(record)) for record in part_records(doc, ITEM, Unique().take))
    validator.validate(english)
    validator.validate(spanish)
    assert [(span["start"], span["label"], span["score"]) for span in english["review"]] == [(0, "ai_padding", 0.6)]
    assert spanish["review"] == [] and english["flags"] == []
    assert english["measures"]["words"] == 1 and "measures" not in spanish
    assert list(schema()["$defs"]["measures"]["properties"]) == list(MEASURES)


def test_schema_refuses_what_is_not_a_record():
    validator = jsonschema.Draft202012Validator(schema())
    record = json.loads(dumps(part_records(document(), ITEM, Unique().take)[0]))
    for change in ({"kept": [[0]]}, {"removed": [{"start": 0}]}, {"schema": 2}, {"parent_sha256": "x"}, {"more": 1}):
        assert not validator.is_valid(record | change), change


def test_schema_command_prints_the_schema(capsys):
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()


def test_each_removal_stands_in_one_record_that_of_the_kept_span_before_it():
    text = "AD\nOne\nAD\nTres\nAD\n"
    bounds = [(0, 3), (3, 7), (7, 10), (10, 15), (15, 18)]
    langs = ["en", "en", "en", "es", "en"]
    spans = [
        Span(start, end, "boilerplate" if text[start] == "A" else "content", lang)
        for (start, end), lang in zip(bounds, langs, strict=True)
    ]
    english, spanish = part_records(document(text, spans), ITEM, Unique().take)
    assert [removal["start"] for removal in english["removed"]] == [0, 7]
    assert [removal["start"] for removal in spanish["removed"]] == [15]


def test_document_of_which_nothing_is_kept_gives_one_record():
    (record,) = part_records(document("AD", (Span(0, 2, "boilerplate"),)), ITEM, Unique().take)
    assert (record["lang"], record["text"], record["kept"]) == ("und", "", [])
    assert [removal["text"] for removal in record["removed"]] == ["AD"]


def test_removed_text_can_be_left_out():
    (record, _) = part_records(document(), ITEM, Unique().take, removed_text=False)
    assert "text" not in record["removed"][0]


def test_ids_are_unique_even_when_they_look_like_parts():
    take = Unique().take
    documents = [document(), document(), document("x", (Span(0, 1),), id="a#en"), document("x", (Span(0, 1),), id="")]
    ids = [record["id"] for doc in documents for record in part_records(doc, ITEM, take)]
    assert ids == ["a#en", "a#es", "a~2#en", "a~2#es", "a#en~2", "document"]


@given(st.lists(st.text(alphabet="aA~2", max_size=4)))
def test_unique_never_gives_a_name_twice(wanted):
    unique = Unique(key=str.casefold)
    given_names = [unique.take(name).casefold() for name in wanted]
    assert len(set(given_names)) == len(wanted)


@given(st.text())
def test_safe_name_is_one_short_visible_path_component(name):
    safe = safe_name(name)
    assert safe and len(safe.encode("utf-8")) <= 151
    assert not set(safe) & set('/\\:*?"<>|\0\n ') and not safe.startswith(".") and not safe.endswith(".")
    assert safe.split(".")[0].casefold() not in {"con", "prn", "aux", "nul", "com1", "lpt9"}
    assert safe_name(safe) == safe


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({"a": "é"}, '{"a":"é"}'),
        ({"a": 2**70, "b": [float("nan"), float("-inf"), 1.5]}, '{"a":1180591620717411303424,"b":[null,null,1.5]}'),
        ({"a": float("nan")}, '{"a":null}'),
        ({"a": "x\ud800", "b": "é"}, '{"a":"x\ufffd","b":"é"}'),
        ({"a": {"b": (1, 2**64)}}, '{"a":{"b":[1,18446744073709551616]}}'),
    ],
    ids=["text", "big number", "NaN", "half surrogate", "nested"],
)
def test_dumps(value, line):
    assert dumps(value).decode("utf-8") == f"{line}\n"


def test_dumps_nests_as_deep_as_it_can_and_says_when_it_cannot():
    deep = {}
    for _ in range(400):
        deep = {"a": deep}
    assert json.loads(dumps(deep)) == deep
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(InputError, match="nested too deeply"):
        dumps(deep)


def test_folder_holds_all_files_and_no_partial_ones(tmp_path):
    out = tmp_path / "new" / "out"
    dropped = document(id="b", verdict=Verdict(False, ("no use",)))
    with FolderWriter(out, Config()) as writer:
        writer.write(document(), ITEM)
        writer.write(dropped, ITEM)
        writer.reject(Rejection(InputError("bad", path="x", line=2, remedy="mend it"), raw="raw"))
    assert sorted(path.name for path in out.iterdir()) == [
        "documents.jsonl",
        "dropped.jsonl",
        "rejected.jsonl",
        "summary.json",
    ]
    assert [record["id"] for record in lines(out / "documents.jsonl")] == ["a#en", "a#es"]
    assert [record["verdict"] for record in lines(out / "dropped.jsonl")] == [
        {"keep": False, "reasons": ["no use"]}
    ] * 2
    assert lines(out / "rejected.jsonl") == [
        {"schema": 1, "path": "x", "line": 2, "reason": "bad", "remedy": "mend it", "raw": "raw"}
    ]
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    config = summary.pop("config")
    assert config["policy"]["spam"] == "flag"
    assert summary == {
        "schema": 1,
        "documents": 2,
        "dropped": 1,
        "rejected": 1,
        "unreadable": 0,
        "chars": 42,
        "parts": {"en": 1, "es": 1},
        "removed_chars": {"advertising": 14},
        "flags": {"spam": 2},
        "flagged_chars": {"spam": 10},
    }


def test_empty_files_are_written_too(tmp_path):
    with FolderWriter(tmp_path, Config()):
        pass
    assert [(tmp_path / name).read_bytes() for name in ("documents.jsonl", "dropped.jsonl", "rejected.jsonl")] == [
        b""
    ] * 3


def test_text_files_keep_every_character_and_never_collide(tmp_path):
    with FolderWriter(tmp_path, Config(), text=True) as writer:
        for name in ("a", "A", "../../a", "con", "x" * 300, "é/1", "é:1"):
            writer.write(document("One\r\n\ufeff\u2028", (Span(0, 7, lang="en"),), id=name), ITEM)
        writer.write(document(id="gone", verdict=Verdict(False)), ITEM)
    expected = {"a", "A~2", "_.._a", "_con", "x" * 150, "é_1", "é_1~2"}
    assert {path.name for path in (tmp_path / "text").iterdir()} == {f"{name}.en.txt" for name in expected}
    assert {path.read_bytes() for path in (tmp_path / "text").iterdir()} == {"One\r\n\ufeff\u2028".encode()}
    assert list(tmp_path.rglob("*.txt")) == list((tmp_path / "text").glob("*.txt"))


def test_results_are_not_overwritten_without_force(tmp_path):
    (tmp_path / "summary.json").write_text("mine")
    with pytest.raises(UsageError, match="exists already; add --force"):
        FolderWriter(tmp_path, Config())
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]
    assert (tmp_path / "summary.json").read_text() == "mine"


def test_force_replaces_results_and_leaves_other_files(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for name in ("a", "b"):
        with FolderWriter(tmp_path, Config(), text=True, force=True) as writer:
            writer.write(document(id=name), ITEM)
    assert sorted(path.name for path in (tmp_path / "text").iterdir()) == ["b.en.txt", "b.es.txt"]
    assert {record["parent"] for record in lines(tmp_path / "documents.jsonl")} == {"b"}
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert not list(tmp_path.glob(".*"))


def test_failed_run_leaves_old_results_and_nothing_new(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(RuntimeError), FolderWriter(out, Config(), text=True) as writer:
        writer.write(document(), ITEM)
        raise RuntimeError
    assert not out.exists()
    with FolderWriter(out, Config()) as writer:
        writer.write(document(), ITEM)
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(KeyboardInterrupt), FolderWriter(out, Config(), force=True) as writer:
        writer.write(document(id="b"), ITEM)
        raise KeyboardInterrupt
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_interrupt_while_the_files_are_opened_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(self, *arguments, **options):
        raise KeyboardInterrupt

    writer = FolderWriter(tmp_path / "out", Config())
    monkeypatch.setattr(Path, "open", interrupt)
    with pytest.raises(KeyboardInterrupt), writer:
        pass
    assert not (tmp_path / "out").exists()


def test_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="cannot be written to"), FolderWriter(tmp_path / "file" / "out", Config()):
        pass


def test_output_that_is_a_file(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="is a file; name a folder"):
        FolderWriter(tmp_path / "out", Config(), force=True)


def test_record_that_cannot_be_written_leaves_no_half_of_itself(tmp_path):
    deep = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with FolderWriter(tmp_path, Config()) as writer:
        with pytest.raises(InputError):
            writer.write(document(meta={"deep": deep}), ITEM)
        writer.write(document(id="b"), ITEM)
    assert {record["parent"] for record in lines(tmp_path / "documents.jsonl")} == {"b"}


def test_stream_gets_kept_and_dropped_documents(tmp_path):
    with (tmp_path / "out").open("wb") as file, StreamWriter(file) as writer:
        writer.write(document(), ITEM)
        writer.write(document(id="b", verdict=Verdict(False)), ITEM)
    assert [record["verdict"]["keep"] for record in lines(tmp_path / "out")] == [True, True, False, False]
