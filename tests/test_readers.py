import gzip
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from filter.errors import UsageError
from filter.readers import Fields, Item, Piece, Reader, Rejection


def read(*inputs, max_chars=1000, **options):
    return list(Reader(max_chars, **options).read(inputs))


def records(*inputs, **options):
    items = read(*inputs, **options)
    assert all(isinstance(item, Item) for item in items), items
    return [item.record for item in items]


def told(outcomes):
    """Outcomes as what can be compared: two errors that say the same are not equal."""
    return [
        outcome if isinstance(outcome, Item) else (str(outcome.error), outcome.raw, outcome.whole_file)
        for outcome in outcomes
    ]


def stdin(data):
    return io.BufferedReader(io.BytesIO(data))


PACKED = {"": bytes, ".gz": lambda data: gzip.compress(data, mtime=0), ".zst": zstandard.ZstdCompressor().compress}


@pytest.mark.parametrize("ending", PACKED)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("One\nTwo\n", id="plain"),
        pytest.param("One\r\n\r\nTwo", id="CRLF"),
        pytest.param("\ufeffOne", id="byte order mark"),
        pytest.param("\x0b\x85 \u2028\n\r", id="odd line ends"),
        pytest.param("año 中 😀", id="beyond ASCII"),
    ],
)
def test_text_file_is_read_as_it_stands(tmp_path, text, ending):
    path = tmp_path / f"note.txt{ending}"
    path.write_bytes(PACKED[ending](text.encode("utf-8")))
    (item,) = read(path)
    assert item.record.text == text
    assert item.record.id == "note"
    assert (item.path, item.line, item.given_id) == (str(path), None, None)


@pytest.mark.parametrize("ending", PACKED)
def test_html_stays_bytes(tmp_path, ending):
    path = tmp_path / f"page.HTM{ending}"
    path.write_bytes(PACKED[ending](b"<p>a\xf1o"))
    (record,) = records(path)
    assert (record.id, record.html) == ("page", b"<p>a\xf1o")


@pytest.mark.parametrize("ending", PACKED)
def test_jsonl_lines_are_records_with_their_place(tmp_path, ending):
    path = tmp_path / f"all.2024.jsonl{ending}"
    lines = b'{"id": "a", "text": "One", "url": "https://x.org/", "date": "2024"}\n\n{"html": "<p>Two", "id": null}'
    path.write_bytes(PACKED[ending](lines))
    first, second = read(path)
    assert (first.record.id, first.given_id, first.line) == ("a", "a", 1)
    assert (first.record.text, first.record.url, first.record.meta) == ("One", "https://x.org/", {"date": "2024"})
    assert (second.record.id, second.given_id, second.line) == ("all.2024:3", None, 3)
    assert second.record.html == "<p>Two"


@pytest.mark.parametrize(
    ("line", "meta"),
    [
        pytest.param(b'{"text": "", "n": 1180591620717411303424}', {"n": 2**70}, id="integer over 64 bits"),
        pytest.param(b'{"text": "", "n": 9223372036854775808}', {"n": 2**63}, id="integer over 63 bits"),
        pytest.param(
            b'{"text": "", "n": [{"a": -9223372036854775809}]}', {"n": [{"a": -(2**63) - 1}]}, id="negative, deep"
        ),
        pytest.param(b'{"text": "", "n": 1e300}', {"n": 1e300}, id="large float"),
        pytest.param(
            b'{"text": "", "n": null, "deep": {"a": [1, 2.5, true]}}',
            {"n": None, "deep": {"a": [1, 2.5, True]}},
            id="any type",
        ),
        pytest.param(
            b'{"text": "", "s": "\\ud800"}', {"s": "\ud800"}, id="half surrogate in a field of the input's own"
        ),
        pytest.param(b'{"text": "", "f": -Infinity}', {"f": float("-inf")}, id="infinity as Python writes it"),
        pytest.param(b'\xef\xbb\xbf{"text": "", "a": 1}', {"a": 1}, id="byte order mark"),
    ],
)
def test_own_fields_come_through_untouched(tmp_path, line, meta):
    path = tmp_path / "a.jsonl"
    path.write_bytes(line)
    assert records(path)[0].meta == meta


def test_number_as_id_is_read_as_text(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": 17, "text": "One"}')
    assert records(tmp_path / "a.jsonl")[0].id == "17"


def test_text_field_can_be_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"content": "One", "text": 3}')
    (record,) = records(tmp_path / "a.jsonl", fields=Fields(text="content"))
    assert (record.text, record.meta) == ("One", {"text": 3})


def test_folder_is_searched_in_order_without_hidden_unusable_or_skipped_files(tmp_path):
    names = ["b.txt", "a/z.txt", "a/b/c.html", ".hidden/x.txt", "._b.txt", "photo.jpg", "out/documents.jsonl"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('{"text": "x"}')
    found = [os.path.relpath(item.path, tmp_path) for item in read(tmp_path, skip=tmp_path / "out")]
    assert found == ["b.txt", "a/z.txt", "a/b/c.html"]


def test_pattern_finds_each_file_once_in_order(tmp_path):
    for name in ("b.txt", "a.txt", "d/c.txt", "out/e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    found = [item.record.id for item in read(tmp_path / "**" / "*.txt", skip=tmp_path / "out")]
    assert found == ["a", "b", "c"]


def test_file_whose_name_is_also_a_pattern(tmp_path):
    (tmp_path / "[1].txt").write_text("one")
    assert records(tmp_path / "[1].txt")[0].text == "one"


def test_kind_makes_every_file_of_a_folder_usable(tmp_path):
    for name in ("page", "index.php", "b.txt", ".hidden"):
        (tmp_path / name).write_text("<p>One")
    assert [(r.id, r.html is None) for r in records(tmp_path)] == [("b", True)]
    assert [(r.id, r.html is None) for r in records(tmp_path, kind="html")] == [
        ("b", True),
        ("index.php", False),
        ("page", False),
    ]


def test_kind_is_for_files_whose_name_does_not_tell(tmp_path):
    (tmp_path / "note").write_text("one")
    (tmp_path / "note.jsonl").write_text('{"text": "two"}')
    assert [r.text for r in records(tmp_path / "note", tmp_path / "note.jsonl", kind="text")] == ["one", "two"]


@pytest.mark.parametrize("ending", PACKED)
@pytest.mark.parametrize(
    ("data", "field", "value"),
    [
        pytest.param(b'{"text": "One"}\n', "text", "One", id="JSONL"),
        pytest.param(b'\xef\xbb\xbf {"text": "One"}\n', "text", "One", id="JSONL after a byte order mark"),
        pytest.param(b"One {\n", "text", "One {\n", id="text"),
        pytest.param(b"\n<!doctype html><p>One", "html", b"\n<!doctype html><p>One", id="HTML"),
        pytest.param(b"<3 is a heart", "text", "<3 is a heart", id="text with an angle"),
    ],
)
def test_standard_input_is_guessed(data, field, value, ending):
    (item,) = read("-", stdin=stdin(PACKED[ending](data)))
    assert getattr(item.record, field) == value
    assert item.path == "-"
    assert item.record.id in ("stdin", "stdin:1")


def test_standard_input_is_what_it_is_said_to_be():
    assert records("-", kind="text", stdin=stdin(b'{"text": "One"}'))[0].text == '{"text": "One"}'


def test_standard_input_named_twice():
    with pytest.raises(UsageError, match="twice"):
        read("-", "-")


def test_zstd_frames_follow_one_another(tmp_path):
    path = tmp_path / "a.jsonl.zst"
    lines = [b'{"text": "%d"}\n' % number for number in range(3000)]
    path.write_bytes(b"".join(PACKED[".zst"](b"".join(lines[at : at + 1000])) for at in range(0, 3000, 1000)))
    assert [record.text for record in records(path)] == [str(number) for number in range(3000)]


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("lost", [1, 5, 3000])
def test_cut_off_archive_gives_what_is_there_and_says_so(tmp_path, ending, lost):
    noise = os.urandom(20_000).hex()  # so that it stays long when packed
    lines = [json.dumps({"text": noise[at : at + 40]}) for at in range(0, 40_000, 40)]
    data = PACKED[ending]("\n".join(lines).encode())
    path = tmp_path / f"a.jsonl{ending}"
    path.write_bytes(data[:-lost])
    *items, last = read(path)
    assert isinstance(last, Rejection)
    assert "cut off" in last.error.reason and last.error.path == str(path)
    assert all(isinstance(item, Item) for item in items)
    assert [item.record.text for item in items] == [json.loads(line)["text"] for line in lines[: len(items)]]
    assert last.error.line == len(items) + 1


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_damaged_archive_is_reported(tmp_path, ending):
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(b"this was never packed")
    (rejection,) = read(path)
    assert "damaged compressed data" in rejection.error.reason


def test_long_line_is_passed_over_and_the_next_one_read(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "' + b"x" * 3_000_000 + b'"}\n{"text": "One"}\n')
    rejection, item = read(path)
    assert rejection.error.line == 1 and "more than a text of 1,000 characters" in rejection.error.reason
    assert rejection.raw is None
    assert item.record.text == "One" and item.line == 2


@given(st.binary(max_size=200), st.sampled_from(["a.txt", "a.html", "a.jsonl", "a"]), st.sampled_from([*PACKED, "raw"]))
def test_any_bytes_are_read_or_reported(data, name, ending):
    if ending == "raw":
        ending = ".zst" if len(data) % 2 else ".gz"
    else:
        data = PACKED[ending](data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{name}{ending}")
        path.write_bytes(data)
        outcomes = [*read(path, kind="text"), *read("-", stdin=stdin(data))]
    assert outcomes
    for outcome in outcomes:
        assert isinstance(outcome, Item) or (outcome.error.reason and outcome.error.remedy)


@given(st.lists(st.one_of(st.just(b'{"text": "x"}'), st.binary(max_size=30).filter(lambda data: b"\n" not in data))))
def test_every_line_is_read_or_reported_once(lines):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.jsonl")
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        outcomes = read(path)
    numbers = [outcome.line if isinstance(outcome, Item) else outcome.error.line for outcome in outcomes]
    full = [
        number for number, line in enumerate(lines, 1) if line.removeprefix(b"\xef\xbb\xbf" * (number == 1)).strip()
    ]
    assert numbers == (full or [None])


def test_rejected_line_keeps_its_text(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": One}\r\n')
    (rejection,) = read(path)
    assert rejection.raw == '{"text": One}'


def test_socket_cannot_be_read_and_the_rest_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    (tmp_path / "b.txt").write_text("One")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("a.txt")
        by_folder, item = read(".")
        by_name, _ = read("a.txt", "b.txt")
    assert "not a regular file" in by_folder.error.reason and by_folder.whole_file
    assert "cannot be read" in by_name.error.reason and by_name.whole_file
    assert item.record.text == "One"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_forbidden_files_and_folders_are_reported(tmp_path):
    (tmp_path / "a.txt").write_text("One")
    (tmp_path / "a.txt").chmod(0)
    (tmp_path / "d").mkdir(mode=0)
    try:
        file, folder = read(tmp_path)
    finally:
        (tmp_path / "d").chmod(0o700)
    assert "Permission denied" in file.error.reason and "Permission denied" in folder.error.reason


def test_file_name_that_is_not_utf8(tmp_path):
    (tmp_path / os.fsdecode(b"a\xff.txt")).write_bytes(b"One")
    (item,) = read(tmp_path)
    assert item.record.text == "One"
    orjson.dumps([item.path, item.record.id])


@given(
    st.lists(st.sampled_from([b'{"text": "x"}', b"{", b"", b" ", b'{"text": "' + b"y" * 300 + b'"}']), max_size=40),
    st.integers(1, 500),
    st.booleans(),
)
def test_shards_of_lines_give_what_the_whole_file_gives(lines, max_bytes, ends_line):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.jsonl")
        path.write_bytes(b"\n".join([b'{"text": "first"}', *lines]) + b"\n" * ends_line)
        reader = Reader(1000)
        shards = [
            json.loads(json.dumps([asdict(piece) for piece in shard])) for shard in reader.plan([path], max_bytes)
        ]
        pieces = [Piece(**piece) for shard in shards for piece in shard]
        assert told(read(path)) == told(reader.read_shard(pieces))
        assert [piece.start for piece in pieces[1:]] == [piece.end for piece in pieces[:-1]]


def test_plan_keeps_order_groups_small_files_and_cuts_large_ones(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "EN One"}\n' * 1000)
    for name in ("b.txt", "c.txt"):
        (tmp_path / name).write_text("x")
    reader = Reader(1000)
    shards = list(reader.plan([tmp_path / "b.txt", tmp_path, "no.txt"], 5000))
    assert [[Path(piece.path).name for piece in shard] for shard in shards] == [
        ["b.txt"],
        *[["a.jsonl"]] * 4,
        ["b.txt", "c.txt", "no.txt"],
    ]
    assert [shard[0].first for shard in shards[1:5]] == [1, 265, 529, 793]
    whole = told(read(tmp_path / "b.txt", tmp_path, "no.txt"))
    assert told(outcome for shard in shards for outcome in reader.read_shard(shard)) == whole


def test_links_to_folders_are_followed_once_and_loops_end(tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "else" / "deep").mkdir(parents=True)
    for name in ("in/a.txt", "in/sub/b.txt", "else/c.txt", "else/deep/d.txt"):
        (tmp_path / name).write_text("One")
    for link, target in (
        ("in/again", "sub"),
        ("in/else", "../else"),
        ("in/else2", "../else"),
        ("in/deep", "../else/deep"),
        ("in/self", "."),
        ("in/up", ".."),
        ("else/back", "../in"),
        ("in/sub/x.txt", "x.txt"),
    ):
        (tmp_path / link).symlink_to(target)
    outcomes = read(tmp_path / "in", skip=tmp_path / "out")
    found = [os.path.relpath(one.path, tmp_path / "in") for one in outcomes if isinstance(one, Item)]
    assert found == ["a.txt", "deep/d.txt", "else/c.txt", "sub/b.txt"]
    problems = {one.error.path.rpartition("/")[2]: one.error.reason for one in outcomes if isinstance(one, Rejection)}
    assert problems["up"] == "a link to a folder that this one is in"
    assert "Too many levels of symbolic links" in problems["x.txt"]
    assert len(problems) == 2


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.txt.gz"])
def test_line_of_a_gigabyte_in_a_megabyte_is_set_aside(tmp_path, name):
    def gz(data):
        return gzip.compress(data, mtime=0)

    bomb = gz(b'{"text": "') + 1024 * gz(b"x" * (1 << 20)) + gz(b'"}\n{"text": "after"}\n')
    assert len(bomb) < 1_200_000
    (tmp_path / name).write_bytes(bomb)
    code = (
        "import sys; from filter.readers import *; from filter.config import Config;"
        "print([one.error.reason if isinstance(one, Rejection) else one.record.text"
        " for one in Reader(Config().max_text_chars).read(sys.argv[1:])]);"
        "print(*[line for line in open('/proc/self/status') if line.startswith('VmHWM')])"
    )
    ran = subprocess.run([sys.executable, "-c", code, tmp_path / name], capture_output=True, text=True, check=True)
    outcomes, peak = ran.stdout.strip().splitlines()
    assert "more than a text of" in outcomes
    if ".jsonl" in name:
        assert outcomes.endswith("'after']")
    assert int(peak.split()[1]) < 300_000, peak
