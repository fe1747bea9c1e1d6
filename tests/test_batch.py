import itertools

import pytest

from filter import Config, Record, pipeline
from filter.batch import Analysed, analyse
from filter.command import main
from filter.errors import InputError, ModelError
from filter.readers import Item, Rejection

from .toys import by_first_word

REJECTION = Rejection(InputError("bad", path="x"))


@pytest.fixture(autouse=True)
def toy_stages(monkeypatch):
    monkeypatch.setattr(pipeline, "_stages", lambda: (by_first_word,))


def items(*texts):
    return [REJECTION if text is None else Item(Record(str(n), text), "in", n) for n, text in enumerate(texts)]


def names(outcomes):
    return [outcome.item.line if isinstance(outcome, Analysed) else outcome.error.reason[:20] for outcome in outcomes]


@pytest.mark.parametrize("batch_chars", [1, 7, 1000])
def test_order_is_kept_whatever_the_batches(batch_chars):
    given = items("EN One", None, "EN Two", "CRASH", None, "EN Three", "a\ud800")
    assert names(analyse(given, Config(batch_chars=batch_chars))) == [
        0,
        "bad",
        2,
        "a fault in textsieve",
        "bad",
        5,
        "half of a surrogate ",
    ]


def test_no_more_is_read_than_a_batch():
    read = []

    def endless():
        for number in itertools.count():
            read.append(number)
            yield Item(Record(text="EN One"), "in", number)

    outcomes = analyse(endless(), Config(batch_chars=60))
    assert names(itertools.islice(outcomes, 25)) == list(range(25))
    assert len(read) == 30


def test_pages_are_not_held_once_their_text_is_taken():
    page = f"<html><body><p>The river rose two metres overnight.</p></body></html><!-- {'x' * 5000} -->"
    (outcome,) = analyse([Item(Record(html=page), "in")], Config())
    assert outcome.item.record.html is None
    assert outcome.item.record.text == outcome.document.text == "The river rose two metres overnight."


def test_rejections_do_not_gather_either():
    rejections = (REJECTION for _ in itertools.count())
    assert len(list(itertools.islice(analyse(rejections, Config(batch_chars=10_000)), 100))) == 100


def test_nothing_gives_nothing():
    assert list(analyse([], Config())) == []


@pytest.mark.parametrize("error", [ModelError("no model"), ImportError("no numpy"), MemoryError()], ids=repr)
@pytest.mark.parametrize("where", ["_stages", "prepare"])
def test_what_would_fail_every_document_stops_the_run(error, where, monkeypatch):
    def fail(*arguments):
        raise error

    monkeypatch.setattr("filter.pipeline._stages" if where == "_stages" else "filter.batch.prepare", fail)
    with pytest.raises(type(error)):
        list(analyse(items("EN One", "EN Two"), Config()))


def test_missing_model_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    def fail(documents, config):
        raise ModelError("models/lines.npz: not found; run textsieve train lines")

    monkeypatch.setattr(pipeline, "_stages", lambda: (fail,))
    (tmp_path / "a.txt").write_text("One")
    assert main(["run", str(tmp_path / "a.txt"), "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "textsieve: models/lines.npz: not found; run textsieve train lines\n"
    assert not (tmp_path / "out").exists()


def test_fault_before_the_stages_sets_the_input_aside(monkeypatch):
    def fail(source, config):
        raise KeyError("oops")

    monkeypatch.setattr("filter.batch.prepare", fail)
    (outcome,) = analyse(items("EN One"), Config())
    assert "KeyError: 'oops', test_batch.py:" in outcome.error.reason and outcome.error.line == 0
