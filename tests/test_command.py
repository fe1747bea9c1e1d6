import json
import os
import re
import subprocess
import sys

import pytest

from filter import __version__, pipeline
from filter.command import main

from .conftest import ROOT
from .toys import by_first_word

SEEDS = sorted((ROOT / "seeds").glob("*.txt"))
GOLDEN = ROOT / "tests" / "golden"
UPDATE = "UPDATE_GOLDEN"


@pytest.fixture
def toy_stages(monkeypatch):
    monkeypatch.setattr(pipeline, "_stages", lambda: (by_first_word,))


@pytest.fixture
def folder(tmp_path, monkeypatch, toy_stages):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"EN One\nAD two\nES Tres\nSPAM\n")
    return tmp_path


def records(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def module(*arguments, **options):
    command = [sys.executable, "-m", "filter", *arguments]
    return subprocess.run(command, capture_output=True, cwd=ROOT, check=False, **options)


def test_help_is_quick():
    def cpu_seconds():
        before = os.times()
        assert b"exit codes: 0" in module("--help").stdout
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    # The best of a few: other work on the machine only ever makes it slower.
    assert min(cpu_seconds() for _ in range(3)) < 0.5


def test_version(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"textsieve {__version__}\n"


def test_checkout_runs_the_same_command():
    ran = subprocess.run([sys.executable, "cli.py", "--version"], capture_output=True, cwd=ROOT, check=True)
    assert ran.stdout == module("--version").stdout


def test_command_is_asked_for():
    ran = module()
    assert ran.returncode == 2 and b"COMMAND" in ran.stderr


def test_run_says_what_it_did(folder, capsys):
    assert main(["run", "a.txt", "-o", "out"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    for fact in (
        "en 12",
        "es 8",
        "advertising 7",
        "spam 5",
        "1 document",
        "removed 7 of 27 characters",
        "results in out",
    ):
        assert fact in said.err


def test_many_documents_are_counted_not_listed(folder, capsys):
    (folder / "b.jsonl").write_text('{"text": "EN One"}\n' * 30)
    assert main(["run", "b.jsonl", "-o", "out"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("30 documents; parts: en 30; ")


def test_policy_comes_from_file_and_options(folder):
    (folder / "c.toml").write_text('policy = {spam = "strip", boilerplate = "keep"}\npreset = "gentle"')
    main(
        ["run", "a.txt", "-o", "out", "--config", "c.toml", "--policy", "boilerplate=flag", "--detector", "langdetect"]
    )
    config = json.loads((folder / "out" / "summary.json").read_text())["config"]
    assert config["policy"] == {"boilerplate": "flag", "ai_padding": "flag", "spam": "strip", "low_quality": "flag"}
    assert (config["preset"], config["detector"]) == ("gentle", "langdetect")


def test_same_input_gives_the_same_bytes(folder):
    for out in ("one", "two"):
        main(["run", "a.txt", "a.txt", "no.txt", "-o", out, "--to", "text"])
    one, two = (
        {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        for root in (folder / "one", folder / "two")
    )
    assert one == two and len(one) == 8


def test_size_of_batches_changes_nothing(folder):
    (folder / "c.toml").write_text("batch_chars = 1")
    (folder / "b.jsonl").write_text('{"text": "EN One"}\n{\n{"text": "AD"}\n' * 3)
    for out, options in (("one", []), ("two", ["--config", "c.toml"])):
        main(["run", "a.txt", "b.jsonl", "-o", out, *options])
    for name in ("documents.jsonl", "dropped.jsonl", "rejected.jsonl"):
        assert (folder / "one" / name).read_bytes() == (folder / "two" / name).read_bytes() != b""


def test_output_folder_inside_the_input_is_no_input(folder):
    for _ in range(2):
        assert main(["run", ".", "-o", "out", "--to", "text", "--force"]) == 0
    assert [record["parent"] for record in records(folder / "out" / "documents.jsonl")] == ["a", "a"]


def test_text_without_removed_text(folder):
    main(["run", "a.txt", "-o", "out", "--no-removed-text"])
    assert b"AD two" not in (folder / "out" / "documents.jsonl").read_bytes()
    assert main(["restore", "out"]) == 1


def test_restore_brings_back_the_input(folder, capsys):
    main(["run", "a.txt", "-o", "out"])
    assert main(["restore", "out", "-o", "back"]) == 0
    assert (folder / "back" / "a.txt").read_bytes() == (folder / "a.txt").read_bytes()
    assert capsys.readouterr().err.endswith("1 restored to back, 0 not\n")
    assert main(["restore", "out"]) == 0
    assert (folder / "out" / "restored" / "a.txt").is_file()


@pytest.mark.parametrize("data", [b"The river rose two metres.\n", b'{"text": "The river rose two metres.\\n"}\n'])
def test_stream_from_standard_input_to_standard_output(data):
    ran = module("run", "-", "-o", "-", input=data)
    assert ran.returncode == 0
    (record,) = [json.loads(line) for line in ran.stdout.splitlines()]
    assert record["text"] == "The river rose two metres.\n"
    assert record["source"]["path"] == "-"


def test_parser_does_not_print_besides():
    ran = module("run", "-", "-o", "-", "--from", "html", input=b"no markup")
    first, second = ran.stderr.decode().splitlines()
    assert ran.returncode == 1
    assert first.startswith("textsieve: -: no text found in the HTML; ") and second.startswith("0 documents")


def test_text_files_need_a_folder(folder, capsys):
    assert main(["run", "a.txt", "-o", "-", "--to", "text"]) == 2
    assert "name a folder with -o" in capsys.readouterr().err


def test_reader_of_the_output_may_leave_early():
    lines = b'{"text": "The river rose."}\n' * 1000
    shell = f"{sys.executable} -m filter run - -o - | head -n 1; exit ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", shell], input=lines, capture_output=True, cwd=ROOT, check=False)
    assert ran.returncode == 1
    assert len(ran.stdout.splitlines()) == 1
    assert b"Traceback" not in ran.stderr and b"Exception ignored" not in ran.stderr


def test_rules_are_listed_and_checked(capsys):
    assert main(["rules"]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert re.match(r"rule:\w+/[\w-]+ +(boilerplate/\w+|spam|ai_padding|low_quality|content) +\S+ +\S", line), line
    assert main(["rules", "--check"]) == 0
    assert capsys.readouterr().err.endswith(" rules, 0 problems\n")


def test_own_rules_are_checked(tmp_path, capsys):
    pack = tmp_path / "mine.toml"
    pack.write_text("[[rule]]\nid = 'x'\nlabel = 'spam'\npattern = 'x('\nwhy = 'x'\nhits = ['x']\nmisses = []\n")
    assert main(["rules", "--check", "--rules", str(pack)]) == 2
    assert str(pack) in capsys.readouterr().err


def test_evaluate_prints_and_writes_figures(tmp_path, capsys):
    path = tmp_path / "figures.json"
    assert main(["evaluate", str(ROOT / "seeds" / "gold.jsonl"), "--json", str(path)]) == 0
    assert "content" in capsys.readouterr().out
    assert json.loads(path.read_text(encoding="utf-8"))["documents"] == 5


@pytest.mark.parametrize("model", ["lines", "sections", "blocks"])
def test_train_needs_its_data(model, tmp_path, capsys):
    assert main(["train", model, "--data", str(tmp_path / "no"), "--out", str(tmp_path)]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_seeds_come_out_as_in_the_golden_files(tmp_path, monkeypatch):
    """The whole outcome; when a change is meant, `UPDATE_GOLDEN=1 pytest tests/test_command.py` writes it anew."""
    monkeypatch.chdir(ROOT)
    assert (
        main(["run", *(str(path.relative_to(ROOT)) for path in SEEDS), "-o", str(tmp_path / "out"), "--to", "text"])
        == 0
    )
    written = {p.relative_to(tmp_path / "out"): p for p in (tmp_path / "out").rglob("*") if p.is_file()}
    if os.environ.get(UPDATE):
        for old in GOLDEN.rglob("*.*"):
            old.unlink()
        for name, path in written.items():
            (GOLDEN / name).parent.mkdir(parents=True, exist_ok=True)
            (GOLDEN / name).write_bytes(path.read_bytes())
    golden = {p.relative_to(GOLDEN): p for p in GOLDEN.rglob("*") if p.is_file()}
    if not golden:
        pytest.skip(f"no golden files yet: {UPDATE}=1 pytest tests/test_command.py writes them")
    assert sorted(map(str, written)) == sorted(map(str, golden))
    for name, path in golden.items():
        assert written[name].read_bytes() == path.read_bytes(), f"{name} differs; if that is meant, set {UPDATE}=1"
