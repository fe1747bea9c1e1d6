"""What must never happen, whoever wrote the input: docs/security.md says why each of these is here."""

import ast
import gzip
import hashlib
import io
import json
import os
import pickle
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zstandard

from filter import Config, Record, process
from filter.command import main
from filter.errors import TextsieveError
from filter.profiles import read_profile
from filter.readers import Rejection
from filter.rules import load_packs
from filter.store import load_model

from .conftest import ROOT

SENTENCE = "The river rose two metres overnight, and the council closed the old bridge to all traffic. "


class Planted:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


# --- nothing in a file is ever run ------------------------------------------------------------------------------------


def as_pickle(planted, path):
    path.write_bytes(pickle.dumps(planted))


def as_npy(planted, path):
    with path.open("wb") as file:
        np.save(file, np.array([planted], dtype=object), allow_pickle=True)


def as_npz(planted, path):
    with path.open("wb") as file:
        np.savez(file, weights=np.array([planted], dtype=object), header=np.frombuffer(b"{}", dtype=np.uint8))


def read_model(path):
    entry = {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    (path.parent / "manifest.json").write_text(json.dumps({"toy": entry}))
    load_model.cache_clear()
    load_model("toy", path.parent)


READS = [read_model, read_profile, Config.from_toml, lambda path: load_packs([path], shipped=False)]


@pytest.mark.parametrize("plant", [as_pickle, as_npy, as_npz])
@pytest.mark.parametrize("read", READS, ids=["model", "profile", "config", "rules"])
def test_a_planted_pickle_is_refused_and_not_run(tmp_path, plant, read):
    path, mark = tmp_path / "planted", tmp_path / "mark"
    plant(Planted(mark), path)
    with pytest.raises(TextsieveError):
        read(path)
    assert not mark.exists()


def test_the_plant_works(tmp_path):
    as_npz(Planted(tmp_path / "mark"), tmp_path / "planted")
    with np.load(tmp_path / "planted", allow_pickle=True) as file:
        assert file["weights"].shape == (1,)
    assert (tmp_path / "mark").is_dir()


FORBIDDEN = re.compile(
    r"(pickle|cPickle|dill|joblib|shelve|marshal|torch)\.(load|loads|Unpickler|open)|yaml\.(unsafe_)?load|eval|exec|"
    r"os\.(system|popen)|(urllib\.request|requests|httpx)\.(get|post|head|request|Session|Client|urlopen|urlretrieve)|"
    r"urlopen|trafilatura\.fetch_\w+|fetch_url"
)


def test_no_code_of_ours_unpickles_evaluates_or_fetches():
    for path in sorted((ROOT / "filter").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert not FORBIDDEN.fullmatch(name), f"{path.name}:{node.lineno}: {name}"
                options = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert options.get("allow_pickle", "False") == "False", f"{path.name}:{node.lineno}"
                if name.startswith("subprocess."):
                    assert options.get("shell", "False") == "False", f"{path.name}:{node.lineno}"
                assert name != "np.load" or "allow_pickle" in options, f"{path.name}:{node.lineno}"


# --- nothing is fetched -----------------------------------------------------------------------------------------------

NO_NETWORK = """
import sys
def hook(event, arguments):
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.gethostby", "urllib.", "http.")):
        print("NETWORK", event, arguments, file=sys.stderr); sys.stderr.flush()
        import os; os._exit(99)
sys.addaudithook(hook)
from filter.command import main
sys.exit(main(sys.argv[1:]))
"""

LURES = (
    '<?xml version="1.0"?><!DOCTYPE html PUBLIC "x" "http://127.0.0.1:9/x.dtd" [<!ENTITY f SYSTEM "http://127.0.0.1:9/f">'
    '<!ENTITY s SYSTEM "file:///etc/passwd">]><html xmlns="http://www.w3.org/1999/xhtml"><head><base href="http://127.0.0.1:9/">'
    '<link rel="stylesheet" href="http://127.0.0.1:9/s.css"><link rel="canonical" href="http://127.0.0.1:9/c">'
    '<meta http-equiv="refresh" content="0; url=http://127.0.0.1:9/r"><script src="http://127.0.0.1:9/j.js"></script>'
    '</head><body><img src="http://127.0.0.1:9/i.png"><iframe src="file:///etc/passwd"></iframe><article><p>&f;&s;'
    f"{SENTENCE * 4}</p></article></body></html>"
)


def run_apart(code, *arguments, cwd, limits=()):
    """Run the command in a process of its own, with limits of the operating system."""

    def limit():
        for name, value in limits:
            resource.setrlimit(name, (value, value))

    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, preexec_fn=limit, timeout=300)


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
def test_a_run_opens_no_connection(tmp_path, extractor):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.html").write_text(LURES)
    record = {"text": f"{SENTENCE}http://127.0.0.1:9/", "url": "http://169.254.169.254/", "path": "s3://bucket/a"}
    (tmp_path / "in" / "b.jsonl").write_text(json.dumps(record))
    # Names that would be addresses, were they given by the user.
    (tmp_path / "in" / "http:").mkdir()
    (tmp_path / "in" / "http:" / "127.0.0.1:9.txt").write_text(SENTENCE)
    done = run_apart(
        NO_NETWORK, "run", "in", "-o", "out", "--jobs", "0", "--extractor", extractor, "--second-opinion", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "out" / "documents.jsonl").read_text()
    assert said.count("The river rose") >= 3 and "root:" not in said


def test_the_watch_on_the_network_works(tmp_path):
    code = NO_NETWORK.replace("from filter", "import socket; socket.create_connection(('127.0.0.1', 9)); from filter")
    assert run_apart(code, "--version", cwd=tmp_path).returncode == 99


# --- small input does not become large --------------------------------------------------------------------------------

MB = 1 << 20


def gz_bomb():
    return gzip.compress(bytes(20 * MB), 9) * 12


def zst_bomb():
    return zstandard.compress(bytes(50 * MB)) * 6


def warc_bomb():
    page = gzip.compress(b"<html><p>" + bytes(20 * MB), 9) + gzip.compress(bytes(20 * MB), 9) * 11
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n" + page
    head = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http; msgtype=response\r\nContent-Length: "
    return gzip.compress(head + str(len(http)).encode() + b"\r\n\r\n" + http + b"\r\n\r\n")


READ_ALL = """
import resource, sys
from filter.readers import Reader
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(sum(1 for outcome in Reader(1_000_000).read(sys.argv[1:])))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)
"""


@pytest.mark.parametrize(
    ("name", "bomb"),
    [
        *((f"a.{kind}.gz", gz_bomb) for kind in ("txt", "jsonl", "csv", "html")),
        *((f"a.{kind}.zst", zst_bomb) for kind in ("txt", "jsonl", "html")),
        ("a.warc.gz", gz_bomb),
        ("a.warc.gz", warc_bomb),
    ],
)
def test_240_megabytes_of_nothing_are_refused_in_little_memory(tmp_path, name, bomb):
    (tmp_path / name).write_bytes(bomb())
    assert (tmp_path / name).stat().st_size < 2 * MB
    done = run_apart(READ_ALL, name, cwd=tmp_path, limits=[(resource.RLIMIT_DATA, 700 * MB)])
    assert done.returncode == 0, done.stderr[-2000:]
    outcomes, grown_kb = map(int, done.stdout.split())
    assert outcomes == 1
    assert grown_kb < 120 * 1024


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
@pytest.mark.parametrize("head", ["", '<?xml version="1.0"?>'])
def test_entities_that_multiply_stay_what_they_are(extractor, head):
    page = f'{head}<!DOCTYPE html [<!ENTITY l0 "lol">{LAUGHS}]><html><body><p>{SENTENCE * 5}&l9;</p></body></html>'
    document = process(Record(html=page), Config(extractor=extractor))
    assert "The river rose" in document.text and len(document.text) < 4 * len(page)


# --- names and texts stay what they are -------------------------------------------------------------------------------

NAMES = [
    "../../evil",
    "/etc/evil",
    "..",
    "a/../../../evil",
    "C:\\evil",
    "~/evil",
    "evil\0.txt",
    "\x1b[2J",
    "a" * 5000,
    "-rf",
]


def test_ids_never_lead_out_of_the_folder(tmp_path, capsys):
    lines = [json.dumps({"id": name, "text": f"{SENTENCE}{number}"}) for number, name in enumerate(NAMES)]
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "in.jsonl").write_text("\n".join(lines))
    out = tmp_path / "work" / "out"
    assert main(["run", str(tmp_path / "work" / "in.jsonl"), "-o", str(out), "--to", "text", "--jobs", "0"]) == 0
    assert main(["restore", str(out), "-o", str(tmp_path / "work" / "back")]) == 0
    assert len(list((out / "text").iterdir())) == len(list((tmp_path / "work" / "back").iterdir())) == len(NAMES)
    assert [path.name for path in tmp_path.iterdir()] == ["work"]
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["back", "in.jsonl", "out"]
    assert "\x1b" not in "".join(capsys.readouterr())


def test_names_of_files_do_not_reach_the_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("a\x1b]0;evil\x07\n\x9b.jsonl").write_text(f"{json.dumps({'text': SENTENCE})}\n{{\n")
    Path("b\x1b[2J.pdf").write_text("")
    assert main(["run", *map(str, tmp_path.iterdir()), "-o", "out", "--jobs", "0"]) == 1
    said = "".join(capsys.readouterr())
    assert "\\x1b]0;evil" in said and not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", said)
    paths = [json.loads(line)["path"] for line in Path("out/rejected.jsonl").read_text().splitlines()]
    assert any(path.endswith("a\x1b]0;evil\x07\n\x9b.jsonl") for path in paths)


@pytest.mark.parametrize("mark", list("=+-@\t\r\n＝＋－＠"))
def test_no_cell_of_csv_is_a_formula(tmp_path, mark):
    from filter.exports import export_file, exported_records

    record = {"text": f'{mark}HYPERLINK("http://evil")', "id": mark, "url": mark}
    (tmp_path / "a.jsonl").write_text(json.dumps(record))
    export_file(tmp_path / "a.jsonl", tmp_path / "a.csv", "csv")
    import csv

    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert sum(cell.startswith("'" + mark) for cell in cells) == 3
    assert not any(cell.startswith(mark) for cell in cells)
    assert next(exported_records(tmp_path / "a.csv"))["text"] == record["text"]


# --- no text makes the work grow faster than itself -------------------------------------------------------------------

REPEATED = [
    *(
        "a",
        "(",
        "1,",
        "1.000 ",
        " \t",
        "a\u00a0",
        "http://",
        "www.",
        "a@",
        "#a ",
        "- ",
        "'\"",
        "...",
        "a\u0301",
        "\u0301",
    ),
    *(
        "日",
        "ア。",
        "[",
        "[edit][1]",
        "aB",
        "&#1",
        "\u200b",
        "\r\n",
        "a\n",
        "a | ",
        "• ",
        "a: ",
        "1 Jan 2020 ",
        "Ã©",
        "ก",
    ),
    *("😀", "a/", "a.b.c", "\x85", "—", "<", "<a ", "<!--", "</p><p>", "&amp", "<div>", "charset=", "<![CDATA["),
]

# The limit is far above what it takes, and far below what anything exponential in 10,000 characters would.
GRIND = """
import json, sys
from filter import Config, Record
from filter.batch import analyse
from filter.readers import Item
for text in json.load(sys.stdin):
    text = (text * 10_000)[:10_000]
    for record in (Record(text=text), Record(html=f"<html><body><p>{text}</p>{text}")):
        for outcome in analyse([Item(record, "a")], Config(page_timeout_s=None)):
            pass
print("done")
"""


def test_repeated_patterns_take_no_longer_than_others(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", GRIND],
        input=json.dumps(REPEATED),
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (200, 200)),
    )
    assert done.stdout == "done\n", done.stderr[-2000:]


def test_a_users_pattern_cannot_be_slow(tmp_path):
    pack = tmp_path / "slow.toml"
    pack.write_text(
        '[[rule]]\nid = "slow"\ncategory = "paywall"\npattern = "^(a*)*(a|aa)+(.*.*.*)*b$"\n'
        'why = "exponential elsewhere"\n'
        'hits = ["aab"]\nmisses = ["The court met."]\n'
    )
    rules = load_packs([pack], shipped=False)
    assert rules.match(["a" * 400] * 50) == [None] * 50


def test_an_error_of_the_reader_is_told_in_one_printable_line():
    from filter.readers import Reader

    (outcome,) = Reader(100, stdin=io.BufferedReader(io.BytesIO(b'{"\x1b[2J'))).read(["-"])
    assert isinstance(outcome, Rejection) and str(outcome.error).isprintable()
