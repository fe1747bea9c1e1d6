import json
import resource

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filter import Config, Policy, pipeline, process
from filter.batch import run
from filter.command import main
from filter.errors import InputError, UsageError
from filter.readers import Reader
from filter.restore import restore, restore_text
from filter.writers import FolderWriter

from .toys import by_first_word

WORDS = st.sampled_from(
    ["EN", "ES", "FR", "AD", "PAD", "SPAM", "LOW", "word", "é中😀", " ", "\n", "\r\n", "\n\n", "\t", "\x0c"]
)
TEXTS = st.lists(st.one_of(st.lists(WORDS, max_size=25).map(" ".join), st.text(max_size=80)), min_size=1, max_size=5)
POLICIES = st.builds(Policy, *[st.sampled_from(["strip", "flag", "keep"])] * 4)


@pytest.fixture
def toy_stages(monkeypatch):
    monkeypatch.setattr(pipeline, "_stages", lambda: (by_first_word,))


def run_on(folder, out, config, **options):
    with FolderWriter(out, config, **options) as writer:
        return run(Reader(config.max_text_chars).read([folder]), writer, config)


def round_trip(texts, folder, policy):
    """Write the texts as JSONL, run, restore, and return what came back in the order of the input."""
    source = folder / "in.jsonl"
    source.write_bytes(b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts))
    config = Config(policy=policy, batch_chars=100)
    summary = run_on(source, folder / "out", config, force=True)
    assert (summary.documents, summary.rejected) == (len(texts), 0)
    records = [
        json.loads(line)
        for name in ("documents.jsonl", "dropped.jsonl")
        for line in (folder / "out" / name).read_bytes().splitlines()
    ]
    return [
        restore_text([record for record in records if record["source"]["line"] == number])
        for number in range(1, len(texts) + 1)
    ]


@given(texts=TEXTS, policy=POLICIES)
@settings(max_examples=60)
def test_any_text_comes_back_from_toy_stages(texts, policy, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_stages", lambda: (by_first_word,))
        assert round_trip(texts, tmp_path_factory.mktemp("trip"), policy) == texts


@given(texts=TEXTS, policy=POLICIES)
@settings(max_examples=15)
def test_any_text_comes_back_from_the_real_stages(texts, policy, tmp_path_factory):
    assert round_trip(texts, tmp_path_factory.mktemp("trip"), policy) == texts


@given(text=st.text(max_size=200), policy=POLICIES)
@settings(max_examples=15)
def test_spans_tile_any_text_and_a_second_time_gives_the_same(text, policy):
    config = Config(policy=policy)
    document = process(text, config)
    assert document == document.with_spans(document.spans)  # checks the tiling
    assert document.text == text
    assert process(text, config) == document


@pytest.mark.usefixtures("toy_stages")
def test_text_files_come_back_byte_for_byte(tmp_path):
    files = {
        "a": b"EN One\r\nAD two\r\n\r\nES Tres",
        "b": b"\xef\xbb\xbfAD all",
        "c": " EN é\x0c\n\tAD — ad\n\nFR fin \n ".encode(),
        "d": b"SPAM\n" * 3,
        "e": b"\r\n \n",
    }
    for name, data in files.items():
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "same.txt").write_bytes(data)
    summary = run_on(tmp_path / "in", tmp_path / "out", Config())
    assert summary.dropped == 2
    written = list(restore(tmp_path / "out", tmp_path / "back"))
    assert sorted(path.read_bytes() for path in written) == sorted(files.values())
    assert {path.name for path in written} == {"same.txt", *(f"same~{number}.txt" for number in range(2, 6))}


@pytest.mark.usefixtures("toy_stages")
def test_hostile_and_repeated_ids_come_back_in_the_folder(tmp_path):
    ids = ["../x", "/etc/passwd", "CON", "a", "A", "a", "", "x" * 300, "a\n", "\x1b[2J", "a#en"]
    lines = [json.dumps({"id": name, "text": f"EN {number}\nES\n"}) for number, name in enumerate(ids)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    run_on(tmp_path / "in.jsonl", tmp_path / "out", Config(), text=True)
    written = list(restore(tmp_path / "out", tmp_path / "back"))
    assert {path.parent for path in written} == {tmp_path / "back"}
    assert sorted(path.read_text() for path in written) == sorted(f"EN {number}\nES\n" for number in range(len(ids)))
    assert len(list((tmp_path / "out" / "text").iterdir())) == 2 * len(ids)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "in.jsonl", "out"]


@pytest.fixture
def records(tmp_path, toy_stages):
    (tmp_path / "a.txt").write_text("EN One\nAD two\nES Tres\n")
    run_on(tmp_path / "a.txt", tmp_path / "out", Config())
    return [json.loads(line) for line in (tmp_path / "out" / "documents.jsonl").read_bytes().splitlines()]


def test_missing_part_is_noticed(records):
    with pytest.raises(InputError, match="only 14 of 22 characters are there"):
        restore_text(records[:1])


def test_altered_text_is_noticed(records):
    records[0]["text"] = "EN Won\n"
    with pytest.raises(InputError, match="differs from the input"):
        restore_text(records)


def test_left_out_text_is_named_with_the_remedy(tmp_path, toy_stages):
    (tmp_path / "a.txt").write_text("EN One\nAD two\n")
    (tmp_path / "b.txt").write_text("EN One\n")
    for name in ("a.txt", "b.txt"):
        run_on(tmp_path / name, tmp_path / name[0], Config(), removed_text=False)
    (error,) = restore(tmp_path / "a", tmp_path / "back")
    assert isinstance(error, InputError) and "run again without --no-removed-text" in str(error)
    (path,) = restore(tmp_path / "b", tmp_path / "back")
    assert path.read_text() == "EN One\n"


def test_restored_files_are_not_overwritten(tmp_path, records):
    first, second = (list(restore(tmp_path / "out", tmp_path / "back")) for _ in range(2))
    assert first[0].read_text() == "EN One\nAD two\nES Tres\n"
    assert isinstance(second[0], InputError) and "exists already" in str(second[0])


def test_file_of_records_can_be_named(tmp_path, records):
    (path,) = restore(tmp_path / "out" / "documents.jsonl", tmp_path / "back")
    assert path.name == "a.txt"


def test_long_id_is_shortened_in_a_message(records):
    with pytest.raises(InputError, match=r"document 'x{200}…': only") as error:
        restore_text([{**records[0], "parent": "x" * 5000, "kept": []}])
    assert len(str(error.value)) < 400


def test_wrong_file_is_not_complained_of_line_by_line(tmp_path, capsys):
    path = tmp_path / "pages.jsonl"
    path.write_text('{"text": "One"}\n' * 100)
    assert main(["restore", str(path), "-o", str(tmp_path / "back")]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 22 and said[-2:] == ["textsieve: and 80 more", f"0 restored to {tmp_path / 'back'}, 100 not"]


def test_full_disk_leaves_no_half_of_a_file(tmp_path, records, capsys):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limit[1]))  # it fails as a full disk does
    try:
        assert main(["restore", str(tmp_path / "out"), "-o", str(tmp_path / "back")]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    said = capsys.readouterr().err
    assert said.startswith(f"textsieve: {tmp_path / 'back'}") and said.endswith("; no unfinished file is left\n")
    assert list((tmp_path / "back").iterdir()) == []


def test_folder_without_results(tmp_path):
    with pytest.raises(UsageError, match="name a folder that textsieve run wrote"):
        list(restore(tmp_path, tmp_path / "back"))


@pytest.mark.parametrize("line", ["{", "[]", '{"schema": 99}'])
def test_damaged_results_are_reported_with_their_line(tmp_path, records, line):
    path = tmp_path / "out" / "documents.jsonl"
    path.write_text(f"{line}\n{path.read_text()}")
    error, restored = restore(tmp_path / "out", tmp_path / "back")
    assert isinstance(error, InputError) and error.line == 1
    assert restored.read_text() == "EN One\nAD two\nES Tres\n"
