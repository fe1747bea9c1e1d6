"""The service: documents in over HTTP, output records out, for pipelines in other languages.

The event loop only moves bytes. Documents of all requests wait in one queue; child processes take what is there, up to
`config.batch_chars` at a time, so that many small requests are worked on as few large batches. A child that dies or
takes too long is replaced, its documents are tried one by one, and the one it fails over again is answered as such.
"""

from __future__ import annotations

import asyncio
import html
import json
import queue
import socket
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .batch import Analysed, Outcome, analyse
from .child import Child, ChildDiedError, OutOfTimeError
from .config import Config
from .errors import InputError, UsageError
from .readers import Reader, Rejection, loads
from .writers import dumps, part_records, rejected_record

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["Answer", "Engine", "FullError", "Limits", "app", "openapi", "serve"]

_START_LIMIT_S = 120.0
_MAX_IN_FLIGHT = 256
_RETRY_S = "1"
_GATHER_SHARE = 0.25
"""How long documents wait for others, when fewer than last time are there: at most this share of what that took."""
_FIRST = (b'{"text": "Good morning."}', 1)
"""A document that has all models loaded."""
_CHUNK = 1 << 18
JSON, NDJSON = "application/json", "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the service takes on.

    Attributes:
        max_bytes: of the body of a request, unpacked; more is answered with 413.
        max_requests: that are worked on at a time; more are answered with 429.
        max_waiting_bytes: of documents that wait; more are answered with 503.
        stop_s: how long running requests may take to end when the service is stopped.
    """

    max_bytes: int = 64_000_000
    max_requests: int = 64
    max_waiting_bytes: int = 256_000_000
    stop_s: float = 30.0


class Answer(NamedTuple):
    """What became of a document: lines of JSON, and 200, or why there are none: 422, 500 or 504."""

    status: int
    lines: bytes


class FullError(Exception):
    """Too much is waiting, or the service is about to end."""


class _Waiting(NamedTuple):
    line: bytes
    number: int
    answer: Future[Answer]


def answer_in_child(lines: Sequence[tuple[bytes, int]], config: Config) -> list[Answer]:
    """Return the answer to each document, given as a line of JSON and its number in the request."""
    reader = Reader(config.max_text_chars, "jsonl")
    return [_answer(outcome) for outcome in analyse((reader.parse(line, "-", n) for line, n in lines), config)]


def _answer(outcome: Outcome) -> Answer:
    if isinstance(outcome, Analysed):
        try:
            return Answer(200, b"".join(map(dumps, part_records(outcome.document, outcome.item, str))))
        except InputError as error:
            outcome = Rejection(InputError(error.reason, path="-", line=outcome.item.line, remedy=error.remedy))
    return _rejected(422, outcome.error)


def _rejected(status: int, error: InputError) -> Answer:
    return Answer(status, dumps(rejected_record(Rejection(error))))


class Engine:
    """Child processes that answer documents, those of all requests together.

    Args:
        config: what to do; `document_timeout_s` limits each document, and each batch.
        jobs: how many children.
        max_waiting_bytes: how much may wait.
    """

    def __init__(self, config: Config, jobs: int = 1, max_waiting_bytes: int = 256_000_000) -> None:
        self.counts: Counter[str] = Counter()
        self.waiting_bytes = 0
        self._config = config
        self._max_waiting_bytes = max_waiting_bytes
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_closed = False
        self._threads = [threading.Thread(target=self._work, name=f"child-{i}", daemon=True) for i in range(jobs)]

    def start(self) -> None:
        """Start the children; what is submitted from now on is answered as soon as their models are loaded."""
        for thread in self._threads:
            thread.start()

    def submit(self, line: bytes, number: int = 1) -> Future[Answer]:
        """Return the answer to a document, when it is there.

        Raises:
            FullError: too much is waiting, or the engine is closed.
        """
        answer: Future[Answer] = Future()
        with self._lock:
            if self._is_closed or (self.waiting_bytes and self.waiting_bytes + len(line) > self._max_waiting_bytes):
                raise FullError
            self.waiting_bytes += len(line)
        self._queue.put(_Waiting(line, number, answer))
        return answer

    def close(self) -> None:
        """Answer what waits, and end the children."""
        with self._lock:
            self._is_closed = True
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _work(self) -> None:
        child = self._started()
        is_last = False
        batch: list[_Waiting] = []
        took_s = 0.0
        while not is_last:
            # Those who have just been answered are about to ask again: better with those who wait than after them.
            expected, batch = len(batch) + self._queue.qsize(), []
            size = 0
            deadline = 0.0
            while size < self._config.batch_chars:
                wait_s = deadline - time.monotonic() if len(batch) < expected else 0.0
                try:
                    waiting = self._queue.get(timeout=max(wait_s, 0.0)) if batch else self._queue.get()
                except queue.Empty:
                    break
                deadline = deadline or time.monotonic() + _GATHER_SHARE * took_s
                if waiting is None:
                    is_last = True
                    break
                # Whoever asked may be gone by now.
                if waiting.answer.set_running_or_notify_cancel():
                    batch.append(waiting)
                    size += len(waiting.line)
                else:
                    self._forget(waiting)
            if batch:
                began = time.monotonic()
                child = self._answer(child, batch)
                took_s = time.monotonic() - began
        child.end()

    def _started(self) -> Child:
        """Return a new child with its models loaded, so that this does not count against a document's time."""
        child = Child()
        try:
            child.call(answer_in_child, ([_FIRST], self._config), _START_LIMIT_S)
        except (ChildDiedError, OutOfTimeError):  # the first document will say so
            child.end()
            child = Child()
        return child

    def _forget(self, waiting: _Waiting) -> None:
        with self._lock:
            self.waiting_bytes -= len(waiting.line)

    def _answer(self, child: Child, batch: Sequence[_Waiting]) -> Child:
        lines = [(waiting.line, waiting.number) for waiting in batch]
        try:
            answers = child.call(answer_in_child, (lines, self._config), self._config.document_timeout_s)
        except (ChildDiedError, OutOfTimeError) as error:
            child.end()
            child = self._started()
            self.counts["restarts"] += 1
            if len(batch) > 1:
                for waiting in batch:
                    child = self._answer(child, [waiting])
                return child
            if isinstance(error, OutOfTimeError):
                reason, status = f"took over {self._config.document_timeout_s:g} s", 504
            else:
                reason, status = f"ended the process that worked on it: {error}", 500
            place = InputError(reason, path="-", line=batch[0].number, remedy="send it cut in pieces, or leave it out")
            answers = [_rejected(status, place)]
        self.counts["batches"] += 1
        self.counts["documents"] += sum(answer.status == 200 for answer in answers)
        self.counts["rejected"] += sum(answer.status != 200 for answer in answers)
        for waiting, answer in zip(batch, answers, strict=True):
            self._forget(waiting)
            waiting.answer.set_result(answer)
        return child


# --- over HTTP --------------------------------------------------------------------------------------------------------


class _RefusedError(Exception):
    def __init__(self, status: int, reason: str) -> None:
        self.status, self.reason = status, reason


async def _body(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the unpacked body in pieces of bounded size, whatever it was packed to.

    Raises:
        _RefusedError: it is too large, or not what its header says.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise _RefusedError(415, f"content-encoding {encoding!r}; use gzip, or none")
    total = 0
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16) if encoding == "gzip" else None
    async for packed in request.stream():
        while packed:
            if unpacker is None:
                piece, packed = packed, b""
            else:
                if unpacker.eof:  # the next member
                    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
                try:
                    piece = unpacker.decompress(packed, _CHUNK)
                except zlib.error as error:
                    raise _RefusedError(400, f"the body is not gzip: {error}") from error
                packed = unpacker.unconsumed_tail or unpacker.unused_data
            total += len(piece)
            if total > limit:
                raise _RefusedError(413, f"the body is over {limit:,} bytes; send less at a time")
            if piece:
                yield piece
            await asyncio.sleep(0)
    if unpacker is not None and not unpacker.eof:
        raise _RefusedError(400, "the gzip body is cut short")


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """Yield the number and content of each line that is not blank."""
    number, begun = 0, list[bytes]()
    async for piece in pieces:
        rest, *others = piece.split(b"\n")
        for following in others:
            number += 1
            if (line := b"".join([*begun, rest])).strip():
                yield number, line
            rest, begun = following, []
        # Joined once at its end: a line of many pieces is not copied with each of them.
        begun.append(rest)
    if (line := b"".join(begun)).strip():
        yield number + 1, line


def app(engine: Engine, limits: Limits) -> Starlette:
    """Return the service as an application; it starts the engine, and closes it."""
    from starlette.applications import Starlette
    from starlette.requests import ClientDisconnect
    from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    running = 0
    codes: Counter[int] = Counter()
    counting = threading.Lock()

    class Stream(Response):
        """Sends pieces as they come, while the request is still being read.

        Not a StreamingResponse: to notice that the client has gone, that takes the pieces of the request.
        """

        def __init__(self, pieces: AsyncIterator[bytes]) -> None:
            super().__init__(media_type=NDJSON)
            del self.headers["content-length"]
            self.pieces = pieces

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            nonlocal running
            try:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                async for piece in self.pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            except ClientDisconnect:
                pass  # nobody is there to be told
            finally:
                running -= 1
                await self.pieces.aclose()  # type: ignore[attr-defined]

    @asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        engine.start()
        yield
        await asyncio.to_thread(engine.close)

    def problem(status: int, reason: str) -> Response:
        with counting:
            codes[status] += 1
        headers = {"retry-after": _RETRY_S} if status in (429, 503) else {}
        return JSONResponse({"error": reason}, status, headers)

    def counted(response: Response) -> Response:
        with counting:
            codes[response.status_code] += 1
        return response

    def kind_of(request: Request) -> str:
        return request.headers.get("content-type", JSON).partition(";")[0].strip().lower()

    async def whole(request: Request) -> bytes:
        return b"".join([piece async for piece in _body(request, limits.max_bytes)])

    async def one(request: Request) -> Response:
        if kind_of(request) != JSON:
            raise _RefusedError(415, f"content-type {kind_of(request)!r}; use {JSON}")
        answer = await asyncio.wrap_future(engine.submit((await whole(request)).replace(b"\n", b" ")))
        if answer.status != 200:
            return Response(answer.lines, answer.status, media_type=JSON)
        return Response(_object("records", answer.lines), media_type=JSON)

    async def many(request: Request) -> Response:
        kind = kind_of(request)
        if kind == NDJSON:
            return Stream(stream(request))
        if kind != JSON:
            raise _RefusedError(415, f"content-type {kind!r}; use {JSON} or {NDJSON}")
        body = await whole(request)
        try:
            rows = await asyncio.to_thread(loads, body)
            if not isinstance(rows, list):
                raise _RefusedError(400, "not an array; send one document to /v1/document")
            packed = await asyncio.to_thread(lambda: [dumps(row) for row in rows])
        except InputError as error:
            raise _RefusedError(400, error.reason) from error
        answers = [engine.submit(line, number) for number, line in enumerate(packed, 1)]
        found = [await asyncio.wrap_future(answer) for answer in answers]
        results = [
            _object("records", answer.lines) if answer.status == 200 else b'{"rejected":' + answer.lines.strip() + b"}"
            for answer in found
        ]
        return Response(b'{"results":[' + b",".join(results) + b"]}", media_type=JSON)

    async def stream(request: Request) -> AsyncIterator[bytes]:
        waiting: list[Future[Answer]] = []
        try:
            async for number, line in _lines(_body(request, limits.max_bytes)):
                if len(waiting) >= _MAX_IN_FLIGHT:
                    yield (await asyncio.wrap_future(waiting.pop(0))).lines
                while waiting and waiting[0].done():
                    yield waiting.pop(0).result().lines
                while True:
                    try:
                        waiting.append(engine.submit(line, number))
                        break
                    except FullError:
                        # The answer has begun, so there is no refusing any more: what was sent has to wait.
                        if waiting:
                            yield (await asyncio.wrap_future(waiting.pop(0))).lines
                        else:
                            await asyncio.sleep(0.1)
            while waiting:
                yield (await asyncio.wrap_future(waiting.pop(0))).lines
        except _RefusedError as error:
            while waiting:
                yield (await asyncio.wrap_future(waiting.pop(0))).lines
            yield _rejected(error.status, InputError(error.reason, path="-")).lines
        finally:
            for answer in waiting:
                answer.cancel()

    def limited(handler: Any) -> Any:
        async def limited_handler(request: Request) -> Response:
            nonlocal running
            if running >= limits.max_requests:
                return problem(429, f"{limits.max_requests:,} requests are being worked on; ask again later")
            running += 1
            is_over = True
            try:
                response: Response = await handler(request)
                is_over = not isinstance(response, Stream)  # else it says itself when it is over
                return counted(response)
            except _RefusedError as error:
                return problem(error.status, error.reason)
            except ClientDisconnect:
                return problem(400, "the request was broken off")
            except FullError:
                return problem(503, "too much is waiting; ask again later")
            finally:
                running -= is_over

        return limited_handler

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def metrics(request: Request) -> Response:
        rows = []
        for name, value in {
            **dict.fromkeys(("batches", "documents", "rejected", "restarts"), 0),
            **engine.counts,
        }.items():
            rows += [f"# TYPE textsieve_{name}_total counter", f"textsieve_{name}_total {value}"]
        for name, value in (("requests_running", running), ("waiting_bytes", engine.waiting_bytes)):
            rows += [f"# TYPE textsieve_{name} gauge", f"textsieve_{name} {value}"]
        rows.append("# TYPE textsieve_requests_total counter")
        rows += [f'textsieve_requests_total{{code="{code}"}} {count}' for code, count in sorted(codes.items())]
        return PlainTextResponse("\n".join(rows) + "\n", media_type="text/plain; version=0.0.4")

    described = openapi()

    async def description(request: Request) -> Response:
        return JSONResponse(described)

    async def page(request: Request) -> Response:
        return HTMLResponse(_page(described))

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/v1/document", limited(one), methods=["POST"]),
            Route("/v1/documents", limited(many), methods=["POST"]),
            Route("/health", health),
            Route("/metrics", metrics),
            Route("/openapi.json", description),
            Route("/", page),
        ],
    )


def _object(name: str, lines: bytes) -> bytes:
    return b'{"%s":[%s]}' % (name.encode(), b",".join(lines.splitlines()))


def openapi() -> dict[str, Any]:
    """Return the description of the service, in OpenAPI 3.1."""
    from . import __version__

    text = (Path(__file__).parent / "output.schema.json").read_text(encoding="utf-8")
    record = json.loads(text.replace("#/$defs/", "#/components/schemas/"))
    parts = record.pop("$defs")
    record = {key: value for key, value in record.items() if not key.startswith("$")}
    document = {
        "type": "object",
        "description": "A document: text, or a page of HTML. Other fields come back under meta.",
        "properties": {"id": {"type": ["string", "integer", "null"]}, "url": {"type": ["string", "null"]}},
        "oneOf": [
            {"required": [given], "properties": {given: {"type": "string"}, other: {"type": "null"}}}
            for given, other in (("text", "html"), ("html", "text"))
        ],
    }
    rejected = {
        "type": "object",
        "description": "A document that cannot be used, and why.",
        "required": ["schema", "path", "line", "reason", "remedy", "raw"],
        "properties": {
            "reason": {"type": "string"},
            "remedy": {"type": "string"},
            "line": {"type": ["integer", "null"]},
        },
    }
    problem = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
    records = {
        "type": "object",
        "required": ["records"],
        "properties": {"records": {"type": "array", "minItems": 1, "items": _ref("Record")}},
    }
    result = {
        "oneOf": [
            _ref("Records"),
            {"type": "object", "required": ["rejected"], "properties": {"rejected": _ref("Rejected")}},
        ]
    }
    results = {"type": "object", "required": ["results"], "properties": {"results": {"type": "array", "items": result}}}
    refusals = {
        "400": "the body is not the gzip it says it is, or no array of JSON where several documents are asked for",
        "413": "the body is too large, as it is or unpacked",
        "415": "another kind of body, or packed in another way",
        "429": "too many requests are being worked on; Retry-After says when to ask again",
        "503": "too much is waiting, or the service is about to end; Retry-After says when to ask again",
    }
    refused = {code: _reply(text, _ref("Problem")) for code, text in refusals.items()}
    failed = {
        "422": _reply("the document cannot be used, or is no JSON", _ref("Rejected")),
        "500": _reply("the document ended the process that worked on it", _ref("Rejected")),
        "504": _reply("the document took too long", _ref("Rejected")),
    }
    status: dict[str, Any] = {"type": "object", "required": ["status"], "properties": {"status": {"const": "ok"}}}
    counts = {"description": "as text", "content": {"text/plain": {"schema": {"type": "string"}}}}
    stream = {"type": "string", "description": "one document a line in, one record or rejection a line out, in order"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "textsieve",
            "version": __version__,
            "description": "Cleans, classifies and splits scraped articles. Bodies may be packed with gzip.",
        },
        "paths": {
            "/v1/document": {
                "post": {
                    "summary": "one document",
                    "requestBody": {"required": True, "content": {JSON: {"schema": _ref("Document")}}},
                    "responses": {"200": _reply("its records, one per part", _ref("Records")), **failed, **refused},
                }
            },
            "/v1/documents": {
                "post": {
                    "summary": "many documents: an array of JSON, or a stream of NDJSON",
                    "requestBody": {
                        "required": True,
                        "content": {
                            JSON: {"schema": {"type": "array", "items": _ref("Document")}},
                            NDJSON: {"schema": stream},
                        },
                    },
                    "responses": {
                        "200": {
                            "description": "a result for each document, in order",
                            "content": {JSON: {"schema": _ref("Results")}, NDJSON: {"schema": stream}},
                        },
                        **refused,
                    },
                }
            },
            "/health": {
                "get": {"summary": "whether the service answers", "responses": {"200": _reply("it does", status)}}
            },
            "/metrics": {"get": {"summary": "counts for Prometheus", "responses": {"200": counts}}},
        },
        "components": {
            "schemas": {
                "Document": document,
                "Problem": problem,
                "Record": record,
                "Records": records,
                "Rejected": rejected,
                "Results": results,
                **parts,
            }
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _reply(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {JSON: {"schema": schema}}}


def _page(described: dict[str, Any]) -> str:
    """Return the description for people, as a page that loads nothing from elsewhere."""
    rows = []
    for path, methods in described["paths"].items():
        for method, what in methods.items():
            rows.append(f"<h2><code>{method.upper()} {path}</code></h2><p>{html.escape(what['summary'])}</p><ul>")
            for code, reply in what["responses"].items():
                rows.append(f"<li><code>{code}</code> {html.escape(reply['description'])}</li>")
            rows.append("</ul>")
    style = (
        "body{font:16px/1.5 system-ui,sans-serif;max-width:45em;margin:2em auto;padding:0 1em;color-scheme:light dark}"
    )
    about = html.escape(described["info"]["description"])
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>textsieve</title><style>{style}</style>"
        f"<h1>textsieve {html.escape(described['info']['version'])}</h1>"
        f"<p>{about} The whole description: <a href=openapi.json>openapi.json</a></p>{''.join(rows)}"
    )


def serve(config: Config, limits: Limits, *, host: str = "127.0.0.1", port: int = 8000, jobs: int = 1) -> None:
    """Serve until SIGTERM or Ctrl-C; what is being worked on then is finished first.

    Args:
        config: what to do.
        limits: what to take on.
        host, port: where to listen; port 0 for any that is free.
        jobs: child processes that work.

    Raises:
        UsageError: the address cannot be listened on, or the extra is missing.
    """
    try:
        import uvicorn
        from starlette.applications import Starlette  # noqa: F401
    except ImportError as error:
        raise UsageError(f"serve needs {error.name}; pip install 'textsieve[serve]'") from error
    # Mistakes in the configuration are said now, not to the first who asks.
    answer_in_child([_FIRST], config)
    try:
        listener = socket.create_server((host, port), backlog=512)
    except OSError as error:
        raise UsageError(f"{host}:{port}: {error.strerror}; name another with --host and --port") from error
    engine = Engine(config, jobs, limits.max_waiting_bytes)
    print(f"textsieve: serving on http://{host}:{listener.getsockname()[1]}", file=sys.stderr, flush=True)
    settings = uvicorn.Config(
        app(engine, limits),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=max(1, round(limits.stop_s)),
    )
    with suppress(KeyboardInterrupt, SystemExit):  # uvicorn has ended all requests, and hands the signal on
        uvicorn.Server(settings).run(sockets=[listener])
    listener.close()
