"""Every bad input is set aside with one line that says what and where it is and what to do; the others go on."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from filter import pipeline
from filter.command import main

from .toys import by_first_word

GOOD = b"EN One\n"


@pytest.fixture(autouse=True)
def toy_stages(monkeypatch):
    monkeypatch.setattr(pipeline, "_stages", lambda: (by_first_word,))


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run `textsieve run` on inputs in an empty folder; return exit code, rejections and lines of standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main(["run", *arguments, "-o", "out"])
        path = tmp_path / "out" / "rejected.jsonl"
        rejected = [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else None
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("textsieve: ")]
        return code, rejected, said

    return run


FILES = [
    pytest.param("bad.txt", b"", None, "the file is empty", "fetch it again", id="empty file"),
    pytest.param("bad.jsonl", b"", None, "the file is empty", "fetch it again", id="empty file of JSONL"),
    pytest.param("bad.jsonl", b"\n \n", None, "the file is empty", "fetch it again", id="blank lines of JSONL"),
    pytest.param("bad.txt", b"One\x00Two", None, "NUL byte at offset 3", "iconv -f UTF-16", id="NUL byte"),
    pytest.param(
        "bad.txt",
        "One".encode("utf-16"),
        None,
        "NUL byte at offset 3: this looks binary or UTF-16",
        "iconv",
        id="UTF-16",
    ),
    pytest.param("bad.txt", b"a\xf1o", None, "not UTF-8: byte 0xf1 at offset 1", "iconv -f WINDOWS-1252", id="Latin 1"),
    pytest.param("bad.txt", b"x" * 5000, None, "over 4,000 bytes", "raise max_text_chars", id="one huge line"),
    pytest.param(
        "bad.txt",
        b"x" * 1001,
        None,
        "1,001 characters is over the limit of 1,000",
        "raise max_text_chars",
        id="long text",
    ),
    pytest.param(
        "bad.html", b"x" * 1001, None, "1,001 characters is over the limit", "raise max_text_chars", id="long page"
    ),
    pytest.param(
        "bad.html",
        b"<html><body></body></html>",
        None,
        "no text found in the HTML",
        "whole page",
        id="page without text",
    ),
    pytest.param("bad.html", b"\x00\x01\x02", None, "HTML", "whole page", id="page that is none"),
    pytest.param(
        "bad.jsonl",
        b'{"text": One}',
        1,
        "not JSON: Expecting value at character 10",
        "one JSON object",
        id="malformed JSON",
    ),
    pytest.param("bad.jsonl", b'["One"]', 1, "a list, not an object", "one JSON object", id="JSON that is no object"),
    pytest.param(
        "bad.jsonl", b'{"id": "a"}', 1, "neither 'text' nor 'html'", "give the record one", id="record without text"
    ),
    pytest.param(
        "bad.jsonl", b'{"body": "One"}', 1, "neither 'text' nor 'html'", "--text-field body", id="text in another field"
    ),
    pytest.param("bad.jsonl", b'{"text": null}', 1, "neither 'text' nor 'html'", "give the record one", id="null text"),
    pytest.param(
        "bad.jsonl", b'{"text": "a", "html": "b"}', 1, "both 'text' and 'html'", "leave one", id="text and HTML"
    ),
    pytest.param("bad.jsonl", b'{"text": 3}', 1, "field 'text' is a number", "as a string", id="number as text"),
    pytest.param("bad.jsonl", b'{"text": "a", "id": ["a"]}', 1, "field 'id' is a list", "as a string", id="list as id"),
    pytest.param(
        "bad.jsonl", b'{"text": "a", "url": true}', 1, "field 'url' is true or false", "as a string", id="truth as URL"
    ),
    pytest.param(
        "bad.jsonl", b'{"text": "\\ud83d"}', 1, "half of a surrogate pair (U+D83D)", "repair", id="half surrogate"
    ),
    pytest.param(
        "bad.jsonl",
        b'{"text": "a", "id": "\\udc00"}',
        1,
        "field 'id' holds half",
        "correct",
        id="half surrogate in the id",
    ),
    pytest.param(
        "bad.jsonl", b'{"text": "a\xf1o"}', 1, "not UTF-8: byte 0xf1 at offset 11", "iconv", id="JSON in Latin 1"
    ),
    pytest.param(
        "bad.jsonl", '{"text": "a"}'.encode("utf-16-le"), 1, "NUL byte at offset 1", "iconv", id="JSON in UTF-16"
    ),
    pytest.param("bad.jsonl", b"[" * 100_000, 1, "JSON", "", id="JSON nested without end"),
    pytest.param(
        "bad.jsonl",
        b'{"text": "' + b"x" * 1001 + b'"}',
        1,
        "1,001 characters is over the limit",
        "raise",
        id="long text in JSON",
    ),
    pytest.param(
        "bad.jsonl",
        b'{"text": "CRASH"}',
        1,
        "a fault in textsieve (RuntimeError: the toy broke, toys.py:",
        "report it",
        id="fault of our own",
    ),
    pytest.param("bad.txt.gz", b"One", None, "damaged compressed data", "fetch the file again", id="gzip that is none"),
    pytest.param(
        "bad.txt.zst", b"One", None, "damaged compressed data", "fetch the file again", id="zstd that is none"
    ),
    pytest.param("bad.txt.gz", b"\x1f\x8b\x08\x00", None, "cut off", "fetch it again", id="gzip that is cut off"),
]


@pytest.mark.parametrize(("name", "data", "line", "reason", "remedy"), FILES)
def test_bad_file_is_set_aside_and_the_others_go_on(run, tmp_path, name, data, line, reason, remedy):
    (tmp_path / "config.toml").write_text("max_text_chars = 1000")
    (tmp_path / "a.txt").write_bytes(GOOD)
    (tmp_path / name).write_bytes(data)
    (tmp_path / "z.txt").write_bytes(GOOD)
    code, rejected, said = run("a.txt", name, "z.txt", "--config", "config.toml")
    assert code == 1
    (rejection,) = rejected
    assert (rejection["path"], rejection["line"]) == (name, line)
    assert reason in rejection["reason"] and remedy in rejection["remedy"]
    place = f"{name}:{line}" if line else name
    assert said == [f"textsieve: {place}: {rejection['reason']}; {rejection['remedy']}"]
    records = [json.loads(line) for line in (tmp_path / "out" / "documents.jsonl").read_bytes().splitlines()]
    assert [record["id"] for record in records] == ["a", "z"]


def test_bad_lines_are_set_aside_and_the_lines_around_them_go_on(run, tmp_path):
    lines = [b'{"text": "EN One"}', b"{", b'{"id": "x"}', b"", b'{"text": "CRASH"}', b'{"text": "EN Two"}']
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    code, rejected, said = run("a.jsonl")
    assert code == 1
    assert [rejection["line"] for rejection in rejected] == [2, 3, 5]
    assert [rejection["raw"] for rejection in rejected] == ["{", '{"id": "x"}', "CRASH"]
    assert len(said) == 3
    records = [json.loads(line) for line in (tmp_path / "out" / "documents.jsonl").read_bytes().splitlines()]
    assert [(record["id"], record["text"]) for record in records] == [("a:1", "EN One"), ("a:6", "EN Two")]


def make_link(path):
    path.symlink_to("nowhere")


def make_folder(path):
    path.mkdir()
    (path / "photo.jpg").write_bytes(b"")


def make_file(path):
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("name", "make", "reason", "remedy"),
    [
        pytest.param("no.txt", None, "no such file or folder", "check the name", id="missing file"),
        pytest.param("no*.txt", None, "no file matches", "check the pattern", id="pattern without a hit"),
        pytest.param("link.txt", make_link, "broken link", "restore the file", id="broken link"),
        pytest.param(
            "photos", make_folder, "no usable file in this folder", "usable are .txt", id="folder without usable files"
        ),
        pytest.param("a.pdf", make_file, "the name does not tell", "say what it is with --from", id="kind unknown"),
    ],
)
def test_what_cannot_be_opened(run, tmp_path, name, make, reason, remedy):
    if make:
        make(tmp_path / name)
    code, rejected, said = run(name)
    assert code == 2
    assert rejected is None and not (tmp_path / "out").exists()
    assert said[0].startswith(f"textsieve: {name}: {reason}") and remedy in said[0]
    assert said[1:] == ["textsieve: nothing could be read; name files or folders that exist"]
    (tmp_path / "a.txt").write_bytes(GOOD)
    code, rejected, said = run(name, "a.txt")
    assert code == 1
    assert [rejection["path"] for rejection in rejected] == [name]
    assert len(said) == 1


def test_pattern_that_finds_nothing_but_the_output(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_bytes(GOOD)
    code, _, said = run("out/*.txt")
    assert code == 2 and "no file matches" in said[0]


def test_closed_standard_input_is_one_line(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    code, _, said = run("-")
    assert (
        code == 2 and said[0] == "textsieve: -: cannot be read (it is closed); give it some, for example through a pipe"
    )


def test_broken_link_in_a_folder(run, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").symlink_to("nowhere")
    (tmp_path / "in" / "b.txt").write_bytes(GOOD)
    code, rejected, _ = run("in")
    assert (code, [rejection["path"] for rejection in rejected]) == (1, ["in/a.txt"])


def test_thousand_bad_lines_are_all_written_and_few_are_printed(run, tmp_path):
    (tmp_path / "a.jsonl").write_text("{\n" * 1000)
    code, rejected, said = run("a.jsonl")
    assert (code, len(rejected)) == (1, 1000)
    assert len(said) == 21 and said[-1] == "textsieve: and 980 more inputs set aside"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["--config", "c.toml"], "c.toml: unknown option 'colour'; known are", id="unknown option in the file"
        ),
        pytest.param(["--config", "no.toml"], "no.toml: cannot be read", id="missing file of options"),
        pytest.param(["--config", "a.txt"], "a.txt: not TOML", id="file of options that is no TOML"),
        pytest.param(["--policy", "spam"], "write it as LABEL=ACTION", id="policy without an action"),
        pytest.param(["--policy", "span=strip"], "no label 'span'; known are", id="policy for an unknown label"),
        pytest.param(["--policy", "spam=drop"], "use one of strip, flag, keep", id="policy with an unknown action"),
        pytest.param(["-", "-"], "standard input is named twice", id="standard input twice"),
        pytest.param([""], "the name of an input is empty", id="input without a name"),
        pytest.param(["out"], "out: is input and output; name another folder", id="output folder as input"),
    ],
)
def test_wrong_options(run, tmp_path, arguments, message):
    (tmp_path / "c.toml").write_text('colour = "red"')
    (tmp_path / "a.txt").write_bytes(GOOD)
    (tmp_path / "out").mkdir()
    code, _, said = run("a.txt", *arguments)
    assert code == 2
    assert len(said) == 1 and message in said[0]
    assert list((tmp_path / "out").iterdir()) == []


def test_output_needs_a_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_bytes(GOOD)
    assert main(["run", "a.txt", "-o", ""]) == 2
    assert capsys.readouterr().err == "textsieve: -o is empty; name a folder, or - for standard output\n"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("arguments", [[], ["a.txt"], ["a.txt", "-o", "out", "--preset", "wild"], ["--frob"]])
def test_arguments_that_cannot_be_parsed(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["run", *arguments])
    assert exit_.value.code == 2
    said = capsys.readouterr().err
    assert (
        said.startswith("textsieve run: ") and said.endswith("; see textsieve run --help\n") and said.count("\n") == 1
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--presett", "strict"], "unknown argument '--presett' (did you mean --preset?)"),
        (["--jobs=two"], "argument --jobs: 'two' is not a whole number, 0 or more"),
        (["--jobs=-1"], "argument --jobs: '-1' is not a whole number, 0 or more"),
        (["--shard-mb", "nan"], "argument --shard-mb: 'nan' is not a number of MB, above 0"),
    ],
)
def test_argument_that_is_wrong_is_named(capsys, arguments, message):
    with pytest.raises(SystemExit):
        main(["run", "a.txt", "-o", "out", *arguments])
    assert f"textsieve run: {message}; see " in capsys.readouterr().err


def test_existing_output_is_kept_unless_forced(run, tmp_path):
    (tmp_path / "a.txt").write_bytes(GOOD)
    assert run("a.txt")[0] == 0
    before = (tmp_path / "out" / "documents.jsonl").read_bytes()
    (tmp_path / "a.txt").write_bytes(b"EN Two")
    code, _, said = run("a.txt")
    assert (code, said) == (
        2,
        ["textsieve: out/documents.jsonl: exists already; add --force to replace it, or name another folder"],
    )
    assert (tmp_path / "out" / "documents.jsonl").read_bytes() == before
    assert run("a.txt", "--force")[0] == 0
    assert (tmp_path / "out" / "documents.jsonl").read_bytes() != before


def test_forced_run_that_reads_nothing_leaves_the_old_output(run, tmp_path):
    (tmp_path / "a.txt").write_bytes(GOOD)
    run("a.txt")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert run("no.txt", "--force")[0] == 2
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_fault_of_the_disk_is_one_line(run, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    (tmp_path / "a.txt").write_bytes(GOOD)
    monkeypatch.setattr(os, "fsync", full)
    code, _, said = run("a.txt")
    assert (code, said) == (2, ["textsieve: out: No space left on device; no unfinished file is left"])
    assert not (tmp_path / "out").exists()


def start(tmp_path, *arguments):
    command = [sys.executable, "-m", "filter", "run", "-", "--from", "jsonl", "-o", "out", *arguments]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("out/.textsieve-*")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.01)
    process.stdin.write('{"text": "EN One"}\n')
    process.stdin.flush()
    return process


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        pytest.param(signal.SIGINT, 130, "textsieve: interrupted; no unfinished file is left\n", id="interrupted"),
        pytest.param(signal.SIGTERM, 143, "", id="terminated"),
    ],
)
def test_stopped_run_leaves_no_file(tmp_path, sent, code, said):
    with start(tmp_path) as process:
        process.send_signal(sent)
        # Standard input stays open: the run is stopped while it waits for more.
        assert process.wait(timeout=30) == code
        assert process.stderr.read() == said
    assert list(tmp_path.iterdir()) == []


def test_interrupted_program_ends_at_once_and_in_order():
    # Left to itself, Python would say -2 after a Ctrl-C in the midst of an exec, which loading libraries is full of.
    code = """
import atexit
from filter import command
atexit.register(print, "seen to")
command.build_parser = lambda: exec("raise KeyboardInterrupt")
command.program()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, "seen to\n")
    assert done.stderr == "textsieve: interrupted; nothing was begun\n"


def test_stopped_run_leaves_old_results(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "documents.jsonl").write_text("old")
    with start(tmp_path, "--force") as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["documents.jsonl"]
    assert (tmp_path / "out" / "documents.jsonl").read_text() == "old"


def test_standard_input_that_is_empty_is_no_file(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO())))
    code, rejected, said = run("-")
    assert code == 1 and rejected[0]["reason"] == "nothing came from standard input"
    assert said == ["textsieve: -: nothing came from standard input; check what writes to it"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_full_standard_output_is_said_to_end_early():
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "filter", "schema"]
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert ran.returncode == 2
    assert ran.stderr == b"textsieve: standard output: No space left on device; what was written to it ends early\n"
