import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings

from filter import Config
from filter.command import main
from filter.serve import NDJSON, Engine, FullError, answer_in_child, openapi

from .conftest import ROOT

httpx = pytest.importorskip("httpx", reason="needs httpx; pip install 'textsieve[dev]'")
pytest.importorskip("uvicorn", reason="needs uvicorn; pip install 'textsieve[serve]'")
pytest.importorskip("starlette", reason="needs starlette; pip install 'textsieve[serve]'")

TEXT = "The council met on Monday and spoke of the library.\nSubscribe to our newsletter\n"


def started(*options):
    command = [sys.executable, "-m", "filter", "serve", "--port", "0", *options]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    said = process.stderr.readline()
    assert "serving on" in said, said + process.stderr.read()
    return process, said.split()[-1]


def ended(process):
    process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.stderr.close()


@pytest.fixture(scope="module")
def service():
    process, url = started("--max-mb", "1")
    with httpx.Client(base_url=url, timeout=120) as client:
        yield client
    ended(process)


def test_the_records_are_those_of_a_run(service, tmp_path):
    rows = [{"id": f"n{i}", "text": f"{i} {TEXT}", "tag": i} for i in range(5)]
    body = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "in.jsonl").write_text(body)
    assert main(["run", str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "out")]) == 0
    wanted = [json.loads(line) for line in (tmp_path / "out" / "documents.jsonl").read_bytes().splitlines()]

    def plain(records):
        return [{key: value for key, value in record.items() if key != "source"} for record in records]

    stream = service.post("/v1/documents", content=body, headers={"content-type": "application/x-ndjson"})
    assert plain(map(json.loads, stream.text.splitlines())) == plain(wanted)
    array = service.post("/v1/documents", json=rows).json()["results"]
    assert plain(record for result in array for record in result["records"]) == plain(wanted)
    single = service.post("/v1/document", json=rows[0]).json()["records"]
    assert plain(single) == plain(wanted[:1])


def test_a_bad_document_does_not_stop_the_others(service):
    body = b'{"text": "One."}\n\nnot json\n{"text": "Two."}\n'
    lines = service.post("/v1/documents", content=body, headers={"content-type": "application/x-ndjson"}).text
    one, bad, two = map(json.loads, lines.splitlines())
    assert (one["text"], two["text"]) == ("One.", "Two.")
    assert bad["line"] == 3 and "not JSON" in bad["reason"]
    found = service.post("/v1/documents", json=[{"text": "One."}, 5]).json()["results"]
    assert "records" in found[0] and "not an object" in found[1]["rejected"]["reason"]


def packed(data):
    return {"content": gzip.compress(data), "headers": {"content-encoding": "gzip", "content-type": "application/json"}}


def test_a_packed_body_is_unpacked(service):
    assert service.post("/v1/document", **packed(b'{"text": "One."}')).json()["records"][0]["text"] == "One."
    twice = gzip.compress(b'{"text": ') + gzip.compress(b'"One."}')
    assert service.post("/v1/document", content=twice, headers={"content-encoding": "gzip"}).status_code == 200


@pytest.mark.parametrize(
    ("path", "request_", "status"),
    [
        ("/v1/document", {"content": b"x" * 2_000_000}, 413),
        ("/v1/document", packed(b"x" * 500_000_000), 413),
        ("/v1/documents", packed(b" " * 500_000_000), 413),
        ("/v1/document", {"content": gzip.compress(b"{}")[:-4], "headers": {"content-encoding": "gzip"}}, 400),
        ("/v1/document", {"content": b"{}", "headers": {"content-encoding": "gzip"}}, 400),
        ("/v1/document", {"content": b"{}", "headers": {"content-encoding": "br"}}, 415),
        ("/v1/document", {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ("/v1/documents", {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ("/v1/document", {"content": b"{}"}, 422),
        ("/v1/document", {"content": b""}, 422),
        ("/v1/document", {"content": b'{"text": 1}'}, 422),
        ("/v1/documents", {"content": b"{}"}, 400),
        ("/v1/documents", {"content": b"[" * 100_000}, 400),
        ("/v1/document", {"content": b"[" * 100_000}, 422),
    ],
)
def test_what_cannot_be_used_is_refused(service, path, request_, status):
    answer = service.post(path, **request_)
    assert answer.status_code == status
    assert answer.json().get("error") or answer.json().get("reason")


def test_a_stream_over_the_limit_ends_with_the_reason(service):
    body = (json.dumps({"text": "One.", "pad": "x" * 100_000}).encode() + b"\n") * 12
    lines = service.post("/v1/documents", content=body, headers={"content-type": "application/x-ndjson"}).text
    *_, last = lines.splitlines()
    assert "over 1,000,000 bytes" in json.loads(last)["reason"]


def test_health_metrics_and_description(service):
    assert service.get("/health").json() == {"status": "ok"}
    service.post("/v1/document", json={"text": "One."})
    rows = dict(line.rsplit(" ", 1) for line in service.get("/metrics").text.splitlines() if not line.startswith("#"))
    assert int(rows["textsieve_documents_total"]) >= 1
    assert int(rows['textsieve_requests_total{code="200"}']) >= 1
    assert rows["textsieve_requests_running"] == "0" and rows["textsieve_waiting_bytes"] == "0"
    assert service.get("/openapi.json").json() == openapi()
    assert "/v1/documents" in service.get("/").text


def test_when_stopped_it_finishes_what_it_has_begun():
    process, url = started()
    rows = "".join(json.dumps({"id": str(i), "text": TEXT * 5}) + "\n" for i in range(400))
    found = []

    def ask():
        headers = {"content-type": "application/x-ndjson"}
        found.append(httpx.post(f"{url}/v1/documents", content=rows, headers=headers, timeout=120))

    thread = threading.Thread(target=ask)
    thread.start()
    deadline = time.monotonic() + 30
    while "textsieve_requests_running 0" in httpx.get(f"{url}/metrics").text and time.monotonic() < deadline:
        time.sleep(0.01)
    ended(process)
    thread.join()
    assert [json.loads(line)["parent"] for line in found[0].text.splitlines()] == [str(i) for i in range(400)]


def test_too_many_requests_are_told_to_come_back():
    process, url = started("--max-requests", "1")
    body = json.dumps({"text": TEXT}).encode()

    def slowly():
        yield body[:5]
        while "textsieve_requests_running 0" in httpx.get(f"{url}/metrics").text:
            time.sleep(0.01)
        answers.append(httpx.post(f"{url}/v1/document", content=body, timeout=120))
        yield body[5:]

    answers = []
    first = httpx.post(f"{url}/v1/document", content=slowly(), timeout=120)
    ended(process)
    assert first.status_code == 200
    assert answers[0].status_code == 429 and answers[0].headers["retry-after"] == "1"


def test_more_than_may_wait_is_refused():
    engine = Engine(Config(), max_waiting_bytes=10)  # not started, so that everything waits
    engine.submit(b"x" * 100)
    with pytest.raises(FullError):
        engine.submit(b"x")


def _deadly(lines, config):
    if any(b"KILL" in line for line, _ in lines):
        os.kill(os.getpid(), signal.SIGKILL)
    if any(b"HANG" in line for line, _ in lines):
        time.sleep(1000)
    return answer_in_child(lines, config)


def test_a_document_that_kills_or_hangs_is_answered_as_such_and_the_others_too(monkeypatch):
    monkeypatch.setattr("filter.serve.answer_in_child", _deadly)
    engine = Engine(Config(document_timeout_s=60.0))
    lines = [b'{"text": "One."}', b'{"text": "KILL"}', b'{"text": "Two."}']
    answers = [engine.submit(line, number) for number, line in enumerate(lines, 1)]
    engine.start()
    found = [answer.result(120) for answer in answers]
    assert [answer.status for answer in found] == [200, 500, 200]
    assert "signal 9" in json.loads(found[1].lines)["reason"]
    engine._config = Config(document_timeout_s=0.5)
    late = engine.submit(b'{"text": "HANG"}').result(120)
    assert late.status == 504 and "took over 0.5 s" in json.loads(late.lines)["reason"]
    assert engine.waiting_bytes == 0
    engine.close()
    with pytest.raises(FullError):
        engine.submit(b"{}")


def test_a_missing_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve"]) == 2
    assert "textsieve[serve]" in capsys.readouterr().err


def test_a_mistake_in_the_configuration_is_said_at_the_start(capsys):
    assert main(["serve", "--port", "0", "--rules", "none.toml"]) == 2
    assert "none.toml" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize(
    ("path", "unchecked"),
    [
        # Whether a page holds any text, no schema says.
        ("/v1/document", ["positive_data_acceptance"]),
        # Of many documents, each that is wrong is answered in its place.
        ("/v1/documents", ["negative_data_rejection"]),
    ],
)
def test_requests_made_from_the_description_are_answered_as_it_says(service, path, unchecked, mode):
    schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis; pip install 'textsieve[dev]'")
    from schemathesis.checks import CHECKS

    @schemathesis.serializer(NDJSON)
    def ndjson(context, value):
        return value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()

    operation = schemathesis.openapi.from_url(f"{service.base_url}/openapi.json")[path]["POST"]
    excluded = CHECKS.get_by_names(unchecked)

    @settings(max_examples=20, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
    def ask(case):
        case.call_and_validate(excluded_checks=excluded)

    ask()


@pytest.mark.parametrize("path", ["/health", "/metrics"])
def test_what_takes_no_document_answers_as_the_description_says(service, path):
    schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis; pip install 'textsieve[dev]'")
    schemathesis.openapi.from_url(f"{service.base_url}/openapi.json")[path]["GET"].Case().call_and_validate()
