"""The page of `textsieve review`: one mark at a time, decided by keyboard.

Every view is made on the server; the script only presses the link or button whose key was pressed. The page is for one
person on this machine: it binds the loopback address, its address holds a random token, and requests from other pages
are refused (a foreign `Host` is DNS rebinding, a foreign `Origin` a forged form).
"""

from __future__ import annotations

import hmac
import secrets
import socket
import sys
from html import escape
from itertools import chain, pairwise
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from .document import CATEGORIES, LABELS
from .errors import InputError, RuleError, UsageError
from .review import JOURNAL, Decision, Journal, Mark, Run, draft_rule, export, moved, rule_effect

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["app", "serve_review"]

_CONTEXT_CHARS = 3000
_MAX_FORM_BYTES = 200_000
_LABEL_KEYS = {"content": "c", "boilerplate": "b", "ai_padding": "p", "spam": "s", "low_quality": "l"}
_MOVES = {
    ("end", "word", True): ("ArrowRight", "end a word later"),
    ("end", "word", False): ("ArrowLeft", "end a word earlier"),
    ("end", "line", True): ("ArrowDown", "end a line later"),
    ("end", "line", False): ("ArrowUp", "end a line earlier"),
    ("start", "word", True): ("Shift+ArrowRight", "start a word later"),
    ("start", "word", False): ("Shift+ArrowLeft", "start a word earlier"),
    ("start", "line", True): ("Shift+ArrowDown", "start a line later"),
    ("start", "line", False): ("Shift+ArrowUp", "start a line earlier"),
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_SAYS = {
    "removed": "left out of the output",
    "flagged": "kept and flagged",
    "review": "kept; put forward for review",
}


class _Page:
    def __init__(self, run: Run, journal: Journal, root: str) -> None:
        self.run, self.journal, self.root = run, journal, root
        self._template = Template((Path(__file__).parent / "review.html").read_text(encoding="utf-8"))

    def url(self, name: str = "", **query: int | str) -> str:
        return f"{self.root}/{name}" + (f"?{urlencode(query)}" if query else "")

    def next_open(self, after: int) -> int:
        """Return the first mark from a place in the queue that nobody has decided, else the first of all such."""
        decided = self.journal.standing()
        size = len(self.run.queue)
        order = chain(range(after, size), range(min(after, size)))
        return next((at for at in order if self.run.queue[at][:3] not in decided), size)

    def show(self, at: int, start: int | None = None, end: int | None = None, rule: str = "") -> str:
        """Return the page of a mark, with other borders if given."""
        queue, decided = self.run.queue, self.journal.standing()
        done = sum(mark[:3] in decided for mark in queue)
        if not 0 <= at < len(queue):
            body = (
                "<p class=done>Nothing is left to decide.</p>" if queue else "<p class=done>The run has no marks.</p>"
            )
            return self._page(body, f"{done:,} of {len(queue):,} decided", at)
        mark = queue[at]
        key = mark[:3]
        given = decided.get(key)
        if start is None or end is None:
            start, end = (given.start, given.end) if given else (mark.start, mark.end)
        text = self.run.text(mark.parent)
        if not 0 <= start < end <= len(text):
            start, end = mark.start, mark.end
        stands = f"<p class=stands>decided: {escape(given.label)}</p>" if given else ""
        actions = self._actions(at, mark, start, end)
        body = (
            f"<section class=facts>{stands}{self._facts(mark, text)}{actions}{rule}</section>"
            f"<pre id=text tabindex=0>{self._text(mark, text, start, end)}</pre>"
        )
        return self._page(body, f"{at + 1:,} of {len(queue):,}; {done:,} decided", at)

    def _page(self, body: str, progress: str, at: int) -> str:
        links = [
            (self.url(at=max(at - 1, 0)), "k", "previous"),
            (self.url(at=min(at + 1, len(self.run.queue))), "j", "next"),
            (self.url(at=self.next_open(at + 1)), "n", "next undecided"),
        ]
        shown = "".join(
            f'<a href="{escape(url)}" data-key="{key}"><kbd>{key}</kbd> {name}</a>' for url, key, name in links
        )
        undo = _button(self.url("undo"), {}, "u", "undo the last decision")
        out = f'<a href="{escape(self.url("export"))}" download="gold.jsonl">export</a>'
        script = escape(self.url("review.js"))
        return self._template.substitute(body=body, links=shown + undo + out, progress=progress, script=script)

    def _facts(self, mark: Mark, text: str) -> str:
        record = self.run.records(mark.parent)[0]
        kind = f"{mark.label} / {mark.category}" if mark.category else mark.label
        reasons = "".join(f"<li>{escape(reason)}</li>" for reason in mark.reasons)
        rows = {
            "document": mark.parent,
            "address": record["url"] or "-",
            "language": mark.lang,
            "found": f"{kind}, {_SAYS[mark.state]}",
            "by": f"{mark.source}, score {mark.score:.4f}; {self.run.distance(mark):.4f} from the limit",
            "at": f"{mark.start:,} to {mark.end:,} of {len(text):,} characters",
        }
        shown = "".join(f"<dt>{name}</dt><dd>{escape(str(value))}</dd>" for name, value in rows.items())
        return f"<dl>{shown}</dl><ul>{reasons}</ul>"

    def _actions(self, at: int, mark: Mark, start: int, end: int) -> str:
        place: dict[str, int | str] = {"at": at, "start": start, "end": end}
        kind = {"label": mark.label, "category": mark.category}
        buttons = [_button(self.url("decide"), {**place, **kind}, "Enter", f"accept: {mark.label}")]
        for label, key in _LABEL_KEYS.items():
            category = mark.category if label == "boilerplate" else ""
            form = {**place, "label": label, "category": category}
            buttons.append(_button(self.url("decide"), form, key, label))
        moves = "".join(
            f'<a href="{escape(self.url("move", **place, border=border, unit=unit, forward=int(forward)))}"'
            f' data-key="{key}"><kbd>{key.replace("Arrow", "")}</kbd> {name}</a>'
            for (border, unit, forward), (key, name) in _MOVES.items()
        )
        rule = _button(self.url("rule"), {**place, **kind}, "r", "make a rule from this")
        borders = f"<details><summary>move a border</summary>{moves}</details>"
        return f"<div class=actions>{''.join(buttons)}{rule}</div>{borders}"

    def _text(self, mark: Mark, text: str, start: int, end: int) -> str:
        """Return the document around a mark, every other mark in its colour."""
        low, high = max(0, start - _CONTEXT_CHARS), min(len(text), end + _CONTEXT_CHARS)
        low = text.rfind("\n", 0, low) + 1 if low else 0
        others = [
            (span["start"], span["end"], span["label"])
            for record in self.run.records(mark.parent)
            for span in (*record["removed"], *record["flags"])
        ]
        cuts = {low, high, start, end} | {cut for a, b, _ in others for cut in (a, b) if low < cut < high}
        places = sorted(cuts)
        out = ["<span class=more>…</span>\n" if low else ""]
        for a, b in pairwise(places):
            label = next((label for s, e, label in others if s <= a and b <= e), "content")
            opening = f'<span class="{label}">{escape(text[a:b])}</span>'
            if a == start:
                out.append("<mark id=current>")
            out.append(opening)
            if b == end:
                out.append("</mark>")
        out.append("<span class=more>…</span>" if high < len(text) else "")
        return "".join(out)

    def rule_form(self, at: int, start: int, end: int, toml: str) -> str:
        """Return the draft of a rule, and what it would change."""
        try:
            effect = rule_effect(self.run, toml)
            lines = "".join(f"<li>{escape(line[:200])}</li>" for line in effect.examples)
            said = (
                f"<p class=effect>would change <b>{effect.documents:,}</b> of {effect.looked_at:,} documents: "
                f"{effect.lines:,} lines that are kept now</p><ul>{lines}</ul>"
            )
        except RuleError as error:
            said = f"<p class=wrong>{escape(str(error))}</p>"
        fields = "".join(
            f'<input type=hidden name={n} value="{v}">' for n, v in (("at", at), ("start", start), ("end", end))
        )
        return (
            f'<form class=rule method=post action="{escape(self.url("rule"))}">{fields}'
            "<label>A rule for a pack of your own (--rules)"
            f"<textarea name=toml rows=9 spellcheck=false>{escape(toml)}</textarea></label>{said}"
            "<button>count again</button></form>"
        )


def _button(url: str, form: dict[str, int | str], key: str, name: str) -> str:
    fields = "".join(f'<input type=hidden name={n} value="{escape(str(v))}">' for n, v in form.items())
    return (
        f'<form method=post action="{escape(url)}">{fields}'
        f'<button data-key="{key}"><kbd>{key}</kbd> {escape(name)}</button></form>'
    )


def app(run: Run, journal: Journal, *, token: str, hosts: frozenset[str]) -> Starlette:
    """Return the page as an application.

    Args:
        run: what is reviewed.
        journal: where decisions go.
        token: the first part of every address; without it nothing is there.
        hosts: what the `Host` of a request may be.
    """
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
    from starlette.routing import Route

    page = _Page(run, journal, f"/{token}")

    def whole(values: dict[str, str], name: str) -> int:
        try:
            return int(values[name])
        except (KeyError, ValueError):
            raise HTTPException(400, f"{name}: not a whole number") from None

    async def form(request: Request) -> dict[str, str]:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_FORM_BYTES:
                raise HTTPException(413)
        try:
            return {name: values[-1] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
        except (UnicodeDecodeError, ValueError):
            raise HTTPException(400, "not a form") from None

    def mark_at(values: dict[str, str]) -> tuple[int, Mark, int, int]:
        at, start, end = (whole(values, name) for name in ("at", "start", "end"))
        if not 0 <= at < len(run.queue):
            raise HTTPException(404, "no such mark")
        mark = run.queue[at]
        if not 0 <= start < end <= len(run.text(mark.parent)):
            raise HTTPException(400, "borders outside the text")
        return at, mark, start, end

    async def show(request: Request) -> Response:
        values = dict(request.query_params)
        at = whole(values, "at") if "at" in values else page.next_open(0)
        borders = (whole(values, "start"), whole(values, "end")) if "start" in values else (None, None)
        return HTMLResponse(page.show(at, *borders))

    async def move(request: Request) -> Response:
        values = dict(request.query_params)
        at, mark, start, end = mark_at(values)
        border, unit = values.get("border", ""), values.get("unit", "")
        if border not in ("start", "end") or unit not in ("word", "line"):
            raise HTTPException(400, "border is start or end, unit is word or line")
        forward = values.get("forward") == "1"
        start, end = moved(run.text(mark.parent), start, end, border=border, unit=unit, forward=forward)
        return RedirectResponse(page.url(at=at, start=start, end=end), 303)

    async def decide(request: Request) -> Response:
        values = await form(request)
        at, mark, start, end = mark_at(values)
        label, category = values.get("label", ""), values.get("category", "")
        if label not in LABELS or category not in ("", *CATEGORIES):
            raise HTTPException(400, "no such label or category")
        sha256 = run.records(mark.parent)[0]["parent_sha256"]
        journal.add(Decision(mark.parent, mark.start, mark.end, sha256, start, end, label, category))
        return RedirectResponse(page.url(at=page.next_open(at + 1)), 303)

    async def undo(request: Request) -> Response:
        taken = journal.undo()
        places = [at for at, mark in enumerate(run.queue) if taken is not None and mark[:3] == taken[:3]]
        return RedirectResponse(page.url(at=places[0]) if places else page.url(), 303)

    async def rule(request: Request) -> Response:
        values = await form(request)
        at, mark, start, end = mark_at(values)
        toml = values.get("toml", "").replace("\r\n", "\n")
        toml = toml or draft_rule(run, mark.parent, start, end, mark.label, mark.category)
        return HTMLResponse(page.show(at, start, end, page.rule_form(at, start, end, toml)))

    async def gold(request: Request) -> Response:
        headers = {"content-disposition": 'attachment; filename="gold.jsonl"'}
        return StreamingResponse(export(run, journal), media_type="application/x-ndjson", headers=headers)

    async def script(request: Request) -> Response:
        text = (Path(__file__).parent / "review.js").read_text(encoding="utf-8")
        return Response(text, media_type="text/javascript")

    async def failed(request: Request, error: Exception) -> Response:
        return PlainTextResponse(f"{error}\n", 409)

    application = Starlette(
        routes=[
            Route("/{token}/", show),
            Route("/{token}/move", move),
            Route("/{token}/decide", decide, methods=["POST"]),
            Route("/{token}/undo", undo, methods=["POST"]),
            Route("/{token}/rule", rule, methods=["POST"]),
            Route("/{token}/export", gold),
            Route("/{token}/review.js", script),
        ],
        exception_handlers={InputError: failed, UsageError: failed},
    )

    class Guard:
        """Lets only requests of the page itself through, and tells the browser what the page may do."""

        def __init__(self, inner: ASGIApp) -> None:
            self.inner = inner

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            from starlette.datastructures import Headers, MutableHeaders

            if scope["type"] != "http":
                await self.inner(scope, receive, send)
                return
            headers = Headers(scope=scope)
            given = str(scope["path"]).split("/")[1]
            origin = headers.get("origin")
            is_safe = scope["method"] in ("GET", "HEAD")
            is_own = origin in {f"http://{host}" for host in hosts} or (is_safe and origin is None)
            known = hmac.compare_digest(given.encode(), token.encode())
            if headers.get("host") not in hosts or not known or not is_own:
                await PlainTextResponse("not found\n", 404 if not known else 403)(scope, receive, send)
                return

            async def send_guarded(message: Message) -> None:
                if message["type"] == "http.response.start":
                    out = MutableHeaders(scope=message)
                    out["cache-control"] = "no-store"
                    out["referrer-policy"] = "same-origin"
                    out["x-content-type-options"] = "nosniff"
                    out["x-frame-options"] = "DENY"
                    out["content-security-policy"] = _POLICY
                await send(message)

            await self.inner(scope, receive, send_guarded)

    application.add_middleware(Guard)
    return application


def serve_review(folder: Path, *, port: int = 0) -> None:
    """Serve the page for a run on this machine until it is interrupted; its address is printed.

    Args:
        folder: the results of a run.
        port: 0 for any that is free.

    Raises:
        UsageError: the folder holds no results that can be reviewed, the port is taken, or the extra is missing.
    """
    try:
        import uvicorn
        from starlette.applications import Starlette  # noqa: F401
    except ImportError as error:
        raise UsageError(f"review needs {error.name}; pip install 'textsieve[review]'") from error
    run = Run(folder)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise UsageError(f"port {port}: {error.strerror}; name another with --port") from error
    port = listener.getsockname()[1]
    token = secrets.token_urlsafe(24)
    journal = Journal(folder / JOURNAL)
    hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
    print(f"http://127.0.0.1:{port}/{token}/", flush=True)
    print(f"textsieve: {len(run.queue):,} marks in {run.documents:,} documents; Ctrl-C ends", file=sys.stderr)
    settings = uvicorn.Config(
        app(run, journal, token=token, hosts=hosts), log_level="warning", access_log=False, lifespan="off"
    )
    try:
        uvicorn.Server(settings).run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # uvicorn has ended all requests, and hands the signal on
    finally:
        journal.close()
        listener.close()
