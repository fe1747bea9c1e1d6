import json

import pytest

from filter import Document, Span
from filter import evaluation as ev
from filter.errors import UsageError


def gold_file(tmp_path, *rows):
    path = tmp_path / "gold.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def evaluate_as(monkeypatch, gold, *spans):
    """Score `spans` as if the pipeline had found them."""
    monkeypatch.setattr(ev, "process_many", lambda records, config: [Document(r.text, spans, id=r.id) for r in records])
    return ev.evaluate(gold)


TEXT = "Rain fell.\nShare this\nBuy pills\n"
GOLD = {
    "id": "a",
    "text": TEXT,
    "spans": [
        {"start": 0, "end": 10, "label": "content", "lang": "en"},
        {"start": 11, "end": 21, "label": "boilerplate", "lang": "en"},
        {"start": 22, "end": 31, "label": "spam", "lang": "en", "accept": ["boilerplate"]},
    ],
}


def test_all_right_gives_ones_and_no_loss(tmp_path, monkeypatch):
    found = (Span(0, 11, "content", "en"), Span(11, 22, "boilerplate", "en"), Span(22, 32, "boilerplate", "en"))
    result = evaluate_as(monkeypatch, gold_file(tmp_path, GOLD), *found)
    assert (result.spans_right, result.loss, result.language) == (1.0, 0.0, 1.0)
    assert result.labels["spam"].recall == 1.0  # boilerplate is accepted there
    assert result.wrong == ()


def test_genuine_text_removed_is_loss_and_costs_precision(tmp_path, monkeypatch):
    result = evaluate_as(monkeypatch, gold_file(tmp_path, GOLD), Span(0, 32, "boilerplate", "es"))
    assert result.loss == 1.0
    assert result.language == 0.0
    assert result.labels["boilerplate"].precision == pytest.approx(10 / 20)
    assert len(result.wrong) == 3


def test_what_gold_leaves_out_is_not_scored(tmp_path, monkeypatch):
    gold = {**GOLD, "spans": GOLD["spans"][:1]}
    found = (Span(0, 11, "content", "en"), Span(11, 32, "spam", "es"))
    assert evaluate_as(monkeypatch, gold_file(tmp_path, gold), *found).spans_right == 1.0


def test_text_beside_the_file_keeps_its_line_ends(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"One\r\ntwo\r\n")
    gold = gold_file(tmp_path, {"id": "a", "spans": [{"start": 5, "end": 8, "label": "content"}]})
    (document,) = ev.read_gold(gold)
    assert document.text[5:8] == "two"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "a", "text": "x", "spans": [{"start": 0, "end": 2, "label": "content"}]}, "outside the text"),
        ({"id": "a", "text": "x", "spans": [{"start": 0, "end": 1, "label": "nice"}]}, "unknown label 'nice'"),
        ({"id": "a", "spans": []}, "a.txt: No such file or directory"),
        ({"id": "a", "text": "x"}, r"not a gold document \(no 'spans'\)"),
        ([], "not a gold document"),
    ],
)
def test_gold_that_cannot_be_used_is_named_with_its_line(tmp_path, row, message):
    with pytest.raises(UsageError, match="gold.jsonl:1: .*" + message):
        ev.evaluate(gold_file(tmp_path, row))


@pytest.mark.parametrize(("name", "message"), [("gold.jsonl", "no documents"), ("no", r"read \(No such file or dir")])
def test_file_without_documents_is_no_gold(tmp_path, name, message):
    (tmp_path / "gold.jsonl").write_bytes(b"\n")
    with pytest.raises(UsageError, match=message):
        ev.evaluate(tmp_path / name)


def test_floors_say_which_figure_undercuts_them(tmp_path, monkeypatch):
    result = evaluate_as(monkeypatch, gold_file(tmp_path, GOLD), Span(0, 32, "content", "en"))
    floors = {"digest": "other", "at_least": {"boilerplate.recall": 0.5, "language": 1.0}, "at_most": {"loss": 0.0}}
    problems = result.under(floors)
    assert len(problems) == 2
    assert "not the one" in problems[0]
    assert "boilerplate.recall" in problems[1]


def test_table_and_dict_hold_the_same_figures(tmp_path, monkeypatch):
    result = evaluate_as(monkeypatch, gold_file(tmp_path, GOLD), Span(0, 32, "boilerplate", "en"))
    assert f"{result.as_dict()['labels']['boilerplate']['precision']:.4f}" in result.table()
    json.dumps(result.as_dict())
