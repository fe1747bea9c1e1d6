import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from filter import pipeline, workers
from filter.command import main
from filter.shards import Attempt, Beat

from .conftest import ROOT
from .toys import by_first_word, toy_worker


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def write(path, *texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command with workers that know the words of `toys`; the exit code and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers.run_in_children, "__kwdefaults__", {"work": toy_worker})
    monkeypatch.setattr(pipeline, "_stages", lambda: (by_first_word,))

    def run(*arguments, inputs=("a.jsonl",)):
        code = main(["run", *inputs, "-o", "out", *arguments])
        return code, capsys.readouterr().err.splitlines()

    return run


def set_aside(tmp_path):
    return [(record["line"], record["reason"]) for record in lines(tmp_path / "out" / "rejected.jsonl")]


def kept(tmp_path):
    return [record["source"]["line"] for record in lines(tmp_path / "out" / "documents.jsonl")]


@pytest.mark.parametrize("jobs", [1, 3])
def test_records_that_kill_hang_or_take_all_memory_are_set_aside(run, tmp_path, jobs):
    texts = ["EN One", "KILL", "EN Two", "HANG", "STOP", "FILL", *["EN More"] * 20]
    write(tmp_path / "a.jsonl", *texts)
    (tmp_path / "textsieve.toml").write_text("document_timeout_s = 0.7\nmax_worker_mb = 3000")
    code, said = run("--jobs", str(jobs), "--shard-mb", "0.0003")
    assert code == 1, said
    assert set_aside(tmp_path) == [
        (2, "workers died over it: it was ended by signal 9, Killed"),
        (4, "workers died over it: it took longer than 0.7 s"),
        (5, "workers died over it: it took longer than 0.7 s"),
        (6, "workers died over it: it ran out of memory"),
    ]
    assert kept(tmp_path) == [1, 3, *range(7, 27)]
    assert said[0].startswith("textsieve: a.jsonl:2: workers died over it") and "document_timeout_s" in said[0]
    assert lines(tmp_path / "out" / "rejected.jsonl")[0]["raw"] == "KILL"


def test_worker_that_is_killed_once_costs_nothing(run, tmp_path):
    write(tmp_path / "a.jsonl", *["EN One"] * 30, f"ONCE {tmp_path / 'mark'}", *["EN Two"] * 30)
    code, _ = run("--jobs", "2", "--shard-mb", "0.0005")
    assert (tmp_path / "mark").exists()
    assert (code, set_aside(tmp_path), kept(tmp_path)) == (0, [], list(range(1, 62)))


def test_same_bytes_with_any_number_of_workers(run, tmp_path):
    write(tmp_path / "a.jsonl", *["EN One\nAD\nES Dos", "SPAM", "CRASH", "LOW"] * 30)
    (tmp_path / "b.jsonl").write_text('{"id": "x", "text": "EN A"}\n{\n{"id": "x", "text": "EN B\\nES C"}\n' * 5)
    found = []
    for arguments in (["--jobs", "1", "--shard-mb", "9"], ["--jobs", "3", "--shard-mb", "0.0004"]):
        assert run("--to", "text", "--force", *arguments, inputs=("a.jsonl", "b.jsonl"))[0] == 1
        found.append(files(tmp_path / "out"))
    assert found[0] == found[1]
    ids = [record["id"] for record in lines(tmp_path / "out" / "documents.jsonl")]
    assert len(set(ids)) == len(ids) and "x~4#es" in ids


def test_real_workers_give_the_golden_results_of_the_seeds(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    seeds = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "seeds").glob("*.txt"))
    assert main(["run", *seeds, "-o", str(tmp_path / "out"), "--to", "text", "--jobs", "2", "--shard-mb", "0.02"]) == 0
    assert files(tmp_path / "out") == files(ROOT / "tests" / "golden")


def test_worker_that_cannot_start_stops_the_run(run, tmp_path, monkeypatch):
    write(tmp_path / "a.jsonl", "EN One")
    monkeypatch.setattr("filter.child._CODE", "raise SystemExit(3)")
    code, said = run("--jobs", "1")
    assert code == 2
    assert said == [
        "textsieve: a worker cannot start: it ended with exit code 3; try --jobs 0 to see why, or raise max_worker_mb"
    ]
    assert not (tmp_path / "out").exists()


def test_fault_of_the_models_comes_back_whole(run, tmp_path):
    write(tmp_path / "a.jsonl", "EN One", "MODEL")
    code, said = run("--jobs", "1")
    assert (code, said) == (2, ["textsieve: models/toy.npz: missing"])
    assert not (tmp_path / "out").exists()


def test_deadly_reading_sets_the_rest_of_the_shard_aside():
    attempt = Attempt()
    for is_read in (False, False, False, False, False):
        attempt = attempt.after_death(Beat(finished=4, offset=99, reading=4, is_read=is_read), "fault", retries=2)
    assert attempt.unreadable == (4, "fault") and attempt.since.offset == 99


def test_death_is_blamed_on_a_record_only_when_nothing_else_was_worked_on():
    at_batch = Beat(finished=10, offset=5, reading=20)
    attempt = Attempt()
    for tries in (1, 2):
        attempt = attempt.after_death(at_batch, "fault", retries=2)
        assert (attempt.tries, attempt.careful) == (tries, range(0))
    attempt = attempt.after_death(at_batch, "fault", retries=2)
    assert attempt.careful == range(10, 21)
    alone = Beat(finished=17, offset=7, reading=17, is_read=True)
    attempt = attempt.after_death(alone, "fault", retries=2)
    assert not attempt.deadly
    # Another record in between: neither is to blame for good.
    attempt = attempt.after_death(alone._replace(finished=18, reading=18), "other", retries=2)
    assert not attempt.deadly
    attempt = attempt.after_death(alone._replace(finished=18, reading=18), "other", retries=2)
    assert attempt.deadly == {18: "other"}
    # Progress between two deaths starts the count anew.
    attempt = attempt.after_death(Beat(finished=30, reading=31), "fault", retries=2)
    assert attempt.tries == 1


SLOW = ["EN One", "SLOW", "ES Dos"]
RUNNER = """
    import sys
    from filter import workers
    from filter.command import main
    from tests.toys import toy_worker
    workers.run_in_children.__kwdefaults__["work"] = toy_worker
    sys.exit(main(["run", "a.jsonl", "-o", "out", "--jobs", "2", "--shard-mb", "0.0001", *sys.argv[1:]]))
"""


def start(tmp_path, *arguments, done=2):
    """Start a run in a process of its own, and wait until some shards are done."""
    code = textwrap.dedent(RUNNER)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    wanted = results(tmp_path) + done
    wait_for(lambda: process.poll() is not None or results(tmp_path) >= wanted)
    assert process.poll() is None, process.stderr.read()
    return process


def results(tmp_path):
    return len(list(tmp_path.glob("out/.textsieve/*/*.zst")))


def wait_for(condition, limit_s=60):
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def undisturbed(run, tmp_path):
    write(tmp_path / "a.jsonl", *SLOW * 16)
    assert run("--jobs", "2", "--shard-mb", "0.0001")[0] == 0
    found = files(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "whole")
    return found


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        pytest.param(signal.SIGKILL, -9, "", id="killed"),
        pytest.param(signal.SIGTERM, 143, "terminated", id="terminated"),
        pytest.param(signal.SIGINT, 130, "interrupted", id="interrupted"),
    ],
)
def test_stopped_run_goes_on_and_gives_the_same_bytes(run, tmp_path, undisturbed, sent, code, said):
    for _ in range(2):
        with start(tmp_path) as process:
            process.send_signal(sent)
            assert process.wait(60) == code
            message = process.stderr.read()
        if said:
            assert message.startswith(f"textsieve: {said}; ") and message.count("\n") == 1
            assert "shards are done; give the same command again to go on" in message
        assert [path.name for path in (tmp_path / "out").iterdir()] == [".textsieve"]
    (tmp_path / "out" / ".textsieve-0123").mkdir()  # what a run leaves that is killed while it joins
    assert results(tmp_path) >= 4
    code, said = run("--jobs", "2", "--shard-mb", "0.0001")
    assert code == 0
    assert files(tmp_path / "out") == undisturbed
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(map(str, undisturbed))


def test_second_run_keeps_out(run, tmp_path):
    write(tmp_path / "a.jsonl", *SLOW * 20)
    with start(tmp_path, done=1) as process:
        code, said = run("--jobs", "1")
        assert code == 2
        assert said[0].startswith(f"textsieve: out: another run writes to it (process {process.pid} on ")
        process.kill()


def test_unfinished_run_of_something_else_is_not_touched(run, tmp_path, undisturbed):
    with start(tmp_path) as process:
        process.kill()
    before = results(tmp_path)
    code, said = run("--jobs", "1", "--shard-mb", "0.0001", "--preset", "strict")
    assert code == 2
    assert said == [
        'textsieve: out: holds an unfinished run, and its preset was "balanced", not "strict"; '
        "give the same command to go on with it, add --force to begin anew, or name another folder"
    ]
    os.utime(tmp_path / "a.jsonl", (1, 1))
    assert "its inputs were others or have changed" in run("--jobs", "1", "--shard-mb", "0.0001")[1][0]
    code, said = run(inputs=("-",))
    assert code == 2 and "holds an unfinished run; give its command again" in said[0]
    assert results(tmp_path) >= before >= 2  # a worker may have finished its shard
    assert run("--jobs", "2", "--shard-mb", "0.0001", "--force")[0] == 0
    assert files(tmp_path / "out") == undisturbed


def test_shares_come_to_the_same_as_one_run(run, tmp_path, undisturbed):
    options = ["--shard-mb", "0.0001", "--jobs", "0"]
    for share in ("2/3", "1/3", "3/3"):
        code, said = run("--shard", share, *options)
        assert code == 0 and said[0].startswith(f"textsieve: share {share} is done")
    assert run(*options)[0] == 0
    assert files(tmp_path / "out") == undisturbed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shard", "0/3"], "write it as I/N, from 1/N to N/N"),
        (["--shard", "4/3"], "write it as I/N, from 1/N to N/N"),
        (["--shard", "1/3", "--force"], "whose work --force and --no-resume would drop"),
        (["--shard", "1/3", "--learn"], "make a profile with textsieve learn"),
        (["--engine", "dask"], "--engine dask and --scheduler ADDRESS go together"),
    ],
)
def test_options_that_do_not_fit(run, tmp_path, arguments, message):
    write(tmp_path / "a.jsonl", "EN One")
    code, said = run(*arguments)
    assert code == 2 and message in said[0] and len(said) == 1
    assert not (tmp_path / "out").exists()


def test_standard_input_is_for_one_process(run, tmp_path):
    code, said = run("--jobs", "2", inputs=("-",))
    assert code == 2 and said == [
        "textsieve: --jobs: standard input is for one process; name files, and a folder with -o"
    ]


@pytest.mark.parametrize("jobs", ["0", "1"])
def test_full_disk_keeps_what_is_done(run, tmp_path, undisturbed, jobs):
    # A text that does not shrink much: its result passes the limit, while all else does not.
    write(tmp_path / "a.jsonl", *["EN One"] * 9, "EN " + os.urandom(150_000).hex(), "EN Two")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        code, said = run("--jobs", jobs, "--shard-mb", "0.0001")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2
    assert "File too large; 1 of 3 shards are done; give the same command again to go on" in said[0]
    assert not list((tmp_path / "out").rglob("*.partial"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".textsieve"]
    assert run("--jobs", jobs, "--shard-mb", "0.0001")[0] == 0
    assert kept(tmp_path) == list(range(1, 12))


def test_damaged_result_is_named(run, tmp_path, undisturbed):
    with start(tmp_path) as process:
        process.kill()
    first = min(tmp_path.glob("out/.textsieve/*/*.zst"))
    data = first.read_bytes()
    for broken in (data[:-8], data[:20] + bytes([data[20] ^ 1]) + data[21:], b""):
        first.write_bytes(broken)
        code, said = run("--jobs", "2", "--shard-mb", "0.0001")
        assert code == 2
        assert f"{first.relative_to(tmp_path)}: " in said[0] and "remove this file" in said[0]
        assert [path.name for path in (tmp_path / "out").iterdir()] == [".textsieve"]
    first.unlink()
    assert run("--jobs", "2", "--shard-mb", "0.0001")[0] == 0
    assert files(tmp_path / "out") == undisturbed


def test_worker_that_outlives_its_run_spoils_nothing(run, tmp_path, undisturbed):
    with start(tmp_path, done=1) as process:
        process.kill()
    # Its workers are in the midst of a shard, which is begun anew beside them.
    assert run("--jobs", "2", "--shard-mb", "0.0001")[0] == 0
    assert files(tmp_path / "out") == undisturbed
    time.sleep(1)
    assert files(tmp_path / "out") == undisturbed


def test_workers_end_with_the_run(run, tmp_path):
    write(tmp_path / "a.jsonl", *SLOW * 20)
    with start(tmp_path, done=1) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        if not children.exists():
            pytest.skip("this system does not list the children of a process")
        # Children are started by threads; all of them are listed under one of the tasks.
        found = {
            int(number)
            for task in Path(f"/proc/{process.pid}/task").iterdir()
            for number in (task / "children").read_text().split()
        }
        process.kill()
    assert found
    wait_for(lambda: not any(Path(f"/proc/{number}/exe").exists() for number in found), limit_s=20)
