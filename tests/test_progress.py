import io
import json
import os
import sys

import pytest

from filter import pipeline
from filter.command import main
from filter.progress import Report
from filter.readers import Reader
from filter.shards import Beat, Shard, Slow
from filter.workers import Done
from filter.writers import Summary

from .toys import by_first_word


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline, "_stages", lambda: (by_first_word,))
    (tmp_path / "a.jsonl").write_text('{"text": "EN One\\nAD two\\nSPAM\\n"}\n{\n' + '{"text": "ES Dos"}\n' * 30)
    return tmp_path


@pytest.mark.parametrize("out", ["out", "-"])
def test_log_is_json_on_every_line(folder, capsys, out):
    assert main(["run", "a.jsonl", "-o", out, "--log-json"]) == 1
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds == (["begin", "shard_done", "rejected", "end"] if out == "out" else ["rejected", "end"])
    assert all(event["time"].endswith("+00:00") for event in events)
    rejected, end = events[-2:]
    assert (rejected["path"], rejected["line"]) == ("a.jsonl", 2) and rejected["remedy"]
    assert (end["documents"], end["rejected"], end["parts"], end["removed_chars"]) == (
        31,
        1,
        {"en": 1, "es": 30},
        {"advertising": 7},
    )
    if out == "out":
        assert len(end["slowest"]) == 5 and end["slowest"][0]["path"] == "a.jsonl"


def test_metrics_are_those_of_prometheus(folder):
    assert main(["run", "a.jsonl", "-o", "out", "--metrics", "m.prom"]) == 1
    lines = (folder / "m.prom").read_text().splitlines()
    for line in (
        "# TYPE textsieve_documents_total counter",
        "textsieve_documents_total 31",
        "textsieve_rejected_total 1",
        "textsieve_shards 1",
        "textsieve_shards_done_total 1",
        'textsieve_parts_total{lang="es"} 30',
        'textsieve_removed_chars_total{category="advertising"} 7',
        'textsieve_flags_total{label="spam"} 1',
    ):
        assert line in lines
    assert sorted(path.name for path in folder.iterdir()) == ["a.jsonl", "m.prom", "out"]


def test_metrics_that_cannot_be_written_are_one_line(folder, capsys):
    assert main(["run", "a.jsonl", "-o", "out", "--metrics", "no/m.prom"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("textsieve: no/") and not (folder / "out").exists()


def test_metrics_that_cannot_be_written_for_a_while_stop_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("filter.progress._METRICS_S", 0.0)
    (tmp_path / "sub").mkdir()
    with Report(metrics=tmp_path / "sub" / "m.prom") as report:
        (tmp_path / "sub" / "m.prom").unlink()
        (tmp_path / "sub").rmdir()
        report.hear(Shard(0, (), Reader(1), None, True, "", ""), Beat(documents=3))
        (tmp_path / "sub").mkdir()
        report.finish(Summary(documents=3), "out")
    assert "textsieve_documents_total 3" in (tmp_path / "sub" / "m.prom").read_text()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_terminal_shows_bars_and_then_the_counts(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setattr("filter.progress._REFRESH_S", 0.0)
    shard = Shard(0, (), Reader(1), None, True, "", "")
    with Report() as report:
        report.begin(2, 0, 1000)
        report.hear(shard, Beat(documents=3, rejected=1, chars=50))
        report.done(Done(shard, Beat(documents=5, rejected=1, chars=90, slowest=(Slow(2.5, "a.jsonl", 7),))))
        report._bars.refresh()
        during = terminal.getvalue()
        summary = Summary(documents=500, rejected=1, chars=90)
        summary.parts["en"] = 499
        summary.flags["spam"] = 4
        report.finish(summary, "out")
    assert "1 set aside" in during and "documents" in during
    for words in ("a.jsonl:7 2.5 s", "spam 4", "en 499", "500 documents", "results in out"):
        assert words in terminal.getvalue()


def test_no_terminal_means_no_bars(folder, capsys):
    assert main(["run", "a.jsonl", "-o", "out"]) == 1
    said = capsys.readouterr().err
    assert "\x1b" not in said and len(said.splitlines()) == 2


def test_narrow_terminal_gets_no_table(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    (folder / "a.jsonl").write_text('{"text": "EN One"}\n')
    assert main(["run", "a.jsonl", "-o", "out"]) == 0
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_is_no_file_is_written_to_and_not_replaced(folder):
    os.mkfifo(folder / "pipe")
    pipe = os.open(folder / "pipe", os.O_RDWR | os.O_NONBLOCK)  # its buffer takes what is written
    assert main(["run", "a.jsonl", "-o", "out", "--metrics", "pipe"]) == 1
    assert b"textsieve_documents_total" in os.read(pipe, 10_000)
    os.close(pipe)
    assert (folder / "pipe").is_fifo() and not list(folder.glob("*pipe?*"))
