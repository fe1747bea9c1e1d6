import json
import os
import signal
import subprocess
import sys
import time

import pytest

from filter import pipeline, workers
from filter.command import main

from .conftest import ROOT
from .test_workers import files, wait_for, write
from .toys import by_first_word, toy_worker

pytest.importorskip("distributed", reason="pip install 'textsieve[dask]'")


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers, each a process of its own; the scheduler's file and the workers."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "20"}
    found = tmp_path / "scheduler.json"

    def start(what, *options):
        # Not through the dask command, whose other commands ask for packages that are not needed here.
        code = f"from distributed.cli.dask_{what} import main; main()"
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            code,
            *options,
            "--scheduler-file",
            str(found),
            "--no-dashboard",
        ]
        output = (tmp_path / f"{what}.log").open("ab")
        return subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=output, stderr=output)

    processes = [start("scheduler", "--host", "127.0.0.1", "--port", "0")]
    try:
        wait_for(found.exists)
        processes += [start("worker", "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1") for _ in range(2)]
        yield str(found), processes[1:]
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:.*:pytest.PytestUnraisableExceptionWarning")
def test_cluster_gives_the_same_bytes_and_outlives_a_worker(tmp_path, monkeypatch, capsys, cluster):
    scheduler, cluster_workers = cluster
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline, "_stages", lambda: (by_first_word,))
    for function in (workers.run_in_children, workers.run_on_dask):
        monkeypatch.setattr(function, "__kwdefaults__", {"work": toy_worker})
    write(tmp_path / "a.jsonl", *["EN One", "SLOW", "ES Dos"] * 10, "KILL", *["EN Two", "SLOW"] * 10)
    assert main(["run", "a.jsonl", "-o", "whole", "--jobs", "2", "--shard-mb", "0.0001"]) == 1

    victim = cluster_workers[0]
    done = workers.Engine.run

    def kill_one(engine, shards, hear, *, is_small):
        for number, shard in enumerate(done(engine, shards, hear, is_small=is_small)):
            if number == 2:
                victim.send_signal(signal.SIGKILL)
            yield shard

    monkeypatch.setattr(workers.Engine, "run", kill_one)
    options = ["--engine", "dask", "--scheduler", scheduler, "--shard-mb", "0.0001"]
    code = main(["run", "a.jsonl", "-o", "out", *options])
    assert code == 1, capsys.readouterr().err
    assert victim.wait(20) == -signal.SIGKILL
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    (rejected,) = map(json.loads, (tmp_path / "out" / "rejected.jsonl").read_text().splitlines())
    assert (rejected["line"], "signal 9" in rejected["reason"]) == (31, True)


def test_scheduler_that_is_not_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers, "_START_LIMIT_S", 2.0)
    write(tmp_path / "a.jsonl", "EN One")
    before = time.monotonic()
    assert main(["run", "a.jsonl", "-o", "out", "--engine", "dask", "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert time.monotonic() - before < 60
    assert "tcp://127.0.0.1:9: no Dask workers there" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
