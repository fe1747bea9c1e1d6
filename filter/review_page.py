"""The page of `textsieve review`: one mark at a time, decided by keyboard, and any document line by line.

Every view is made on the server; the script only presses the link or button whose key was pressed. The page is for one
person on this machine: it binds the loopback address, its address holds a random token, and requests from other pages
are refused (a foreign `Host` is DNS rebinding, a foreign `Origin` a forged form).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import socket
import sys
from bisect import bisect_right
from collections import Counter
from html import escape
from itertools import chain, pairwise
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from .document import CATEGORIES, LABELS
from .errors import InputError, RuleError, UsageError
from .review import JOURNAL, Decision, Journal, Mark, Run, draft_rule, export, moved, rule_effect
from .segment import line_bounds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["app", "serve_review"]

_CONTEXT_CHARS = 3000
_MAX_SHOWN_CHARS = 20_000
_PAGE_DOCUMENTS = 100
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
_STEPS = {
    "ArrowDown": "the next line",
    "ArrowUp": "the line before",
    "Shift+ArrowDown": "a line more",
    "Shift+ArrowUp": "a line less",
    "ArrowRight": "end a word later",
    "ArrowLeft": "end a word earlier",
    "Shift+ArrowRight": "start a word later",
    "Shift+ArrowLeft": "start a word earlier",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src {style}; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)
# What moves the cursor or turns the reading direction is shown, and does nothing.
_HIDDEN = (*range(9), *range(11, 32), 0x7F, 0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SIGNS = {code: f"[U+{code:04X}]" for code in _HIDDEN if chr(code) != "\r"}
_SAYS = {
    "removed": "left out of the output",
    "flagged": "kept and flagged",
    "review": "kept; put forward for review",
}


def _shown(text: object) -> str:
    """Return text for the page: nothing in it is markup, and what cannot be seen has a sign."""
    return escape(str(text).translate(_SIGNS))


class _Page:
    def __init__(self, run: Run, journal: Journal, root: str) -> None:
        self.run, self.journal, self.root = run, journal, root
        html = (Path(__file__).parent / "review.html").read_text(encoding="utf-8")
        self._template = Template(html)
        style = html.partition("<style>")[2].partition("</style>")[0]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self.policy = _POLICY.format(style=f"'sha256-{digest}'")
        self._marks = Counter(mark.parent for mark in run.queue)

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
            f"<pre id=text tabindex=0>{self._text(mark.parent, text, start, end)}</pre>"
        )
        return self._page(body, f"{at + 1:,} of {len(queue):,}; {done:,} decided", at)

    def _page(self, body: str, progress: str, at: int) -> str:
        """Return a page about a mark, or about none, with what leads on."""
        return self._framed(
            body,
            progress,
            [
                (self.url(at=max(at - 1, 0)), "k", "previous"),
                (self.url(at=min(at + 1, len(self.run.queue))), "j", "next"),
                (self.url(at=self.next_open(at + 1)), "n", "next undecided"),
                (self.url("documents"), "d", "documents"),
            ],
        )

    def _framed(self, body: str, progress: str, links: Sequence[tuple[str, str, str]]) -> str:
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
        reasons = "".join(f"<li>{_shown(reason)}</li>" for reason in mark.reasons)
        rows = {
            "document": mark.parent,
            "address": record["url"] or "-",
            "language": mark.lang,
            "found": f"{kind}, {_SAYS[mark.state]}",
            "by": f"{mark.source}, score {mark.score:.4f}; {self.run.distance(mark):.4f} from the limit",
            "at": f"{mark.start:,} to {mark.end:,} of {len(text):,} characters",
        }
        return f"{_facts(rows)}<ul>{reasons}</ul>"

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
        whole = self.url("document", parent=mark.parent, start=start, end=end)
        rule += f'<a href="{escape(whole)}" data-key="o"><kbd>o</kbd> open the document here</a>'
        borders = f"<details><summary>move a border</summary>{moves}</details>"
        return f"<div class=actions>{''.join(buttons)}{rule}</div>{borders}"

    def _text(self, parent: str, text: str, start: int, end: int, *, numbered: bool = False) -> str:
        """Return the document around a stretch, every mark in its colour; numbered lines can be chosen."""
        low, high = max(0, start - _CONTEXT_CHARS), min(len(text), end + _CONTEXT_CHARS)
        # From the beginning of a line, unless that is far off.
        low = max(text.rfind("\n", 0, low) + 1, low - _CONTEXT_CHARS, 0)
        others = sorted(
            (span["start"], span["end"], span["label"])
            for record in self.run.records(parent)
            for span in (*record["removed"], *record["flags"])
        )
        starts = [first for first, *_ in others]
        lines = {}
        if numbered:
            count = sum(1 for _ in line_bounds(text[:low]))
            lines = {low + a: (low + b, number) for number, (a, b) in enumerate(line_bounds(text[low:high]), count + 1)}
        edges = {edge for a, b, _ in others for edge in (a, b)} | lines.keys()
        # Of a stretch that would fill the page many times over, the middle is left out.
        hidden = (start + _MAX_SHOWN_CHARS // 2, end - _MAX_SHOWN_CHARS // 2)
        hidden = hidden if hidden[0] < hidden[1] else (high, high)
        cuts = {low, high, start, end, *hidden} | {edge for edge in edges if low < edge < high}
        out = ["<span class=more>…</span>\n" if low else ""]
        for a, b in pairwise(sorted(cuts)):
            if a == start:
                out.append("<mark id=current>")
            if hidden[0] <= a < hidden[1]:
                out.append(f"<span class=more>\n… {hidden[1] - hidden[0]:,} characters …\n</span>" * (a == hidden[0]))
            else:
                if a in lines:
                    last, number = lines[a]
                    url = self.url("document", parent=parent, start=a, end=last)
                    out.append(f'<a class=pick href="{escape(url)}" aria-label="line {number}">{number}</a>')
                near = others[max(bisect_right(starts, a) - 1, 0) :][:1]
                label = next((label for s, e, label in near if s <= a and b <= e), "content")
                out.append(f'<span class="{label}">{_shown(text[a:b])}</span>')
            if b == end:
                out.append("</mark>")
        out.append("<span class=more>…</span>" if high < len(text) else "")
        return "".join(out)

    def documents(self, first: int, words: str) -> str:
        """Return the list of all documents, or of those whose name or address holds some words."""
        names = [name for name in self.run.parents if words.lower() in name.lower()]
        first = max(0, min(first, len(names) - 1))
        decided = Counter(decision.parent for decision in self.journal.standing().values())
        rows = "".join(
            f'<tr><td><a href="{escape(self.url("document", parent=name))}">{_shown(name)}</a></td>'
            f"<td>{self._marks[name]:,}</td><td>{decided[name]:,}</td></tr>"
            for name in names[first : first + _PAGE_DOCUMENTS]
        )
        body = (
            f'<section class=list><form action="{escape(self.url("documents"))}">'
            f'<label>name holds <input name=words value="{escape(words)}"></label> <button>show</button></form>'
            f"<table><thead><tr><th>document</th><th>marks</th><th>decisions</th></tr></thead>{rows}</table></section>"
        )
        last = min(first + _PAGE_DOCUMENTS, len(names))
        before = max(0, first - _PAGE_DOCUMENTS)
        earlier, later = (self.url("documents", first=at, words=words) for at in (before, last))
        links = [(earlier, "k", "earlier"), (later, "j", "later"), (self.url(), "n", "next undecided")]
        return self._framed(body, f"{first + 1 if names else 0:,} to {last:,} of {len(names):,} documents", links)

    def document(self, parent: str, start: int | None = None, end: int | None = None) -> str:
        """Return the page of a document, of which a stretch is chosen: the first line, unless another is given."""
        text = self.run.text(parent)
        lines = list(line_bounds(text)) or [(0, len(text))]
        if start is None or end is None or not 0 <= start < end <= len(text):
            start, end = lines[0]
        standing = [d for d in self.journal.standing().values() if d.parent == parent]
        record = self.run.records(parent)[0]
        rows: dict[str, object] = {
            "document": parent,
            "address": record["url"] or "-",
            "chosen": f"{start:,} to {end:,} of {len(text):,} characters",
            "decided": ", ".join(dict.fromkeys(d.label for d in standing if d.start < end and start < d.end)) or "-",
        }
        place: dict[str, int | str] = {"parent": parent, "start": start, "end": end}
        buttons = "".join(
            _button(self.url("label"), {**place, "label": label}, key, label) for label, key in _LABEL_KEYS.items()
        )
        steps = self._steps(text, lines, start, end)
        moves = "".join(
            f'<a href="{escape(self.url("document", parent=parent, start=a, end=b))}" data-key="{key}">'
            f"<kbd>{key.replace('Arrow', '')}</kbd> {_STEPS[key]}</a>"
            for key, (a, b) in steps.items()
        )
        found = "".join(
            f'<li><a href="{escape(self.url("document", parent=parent, start=d.start, end=d.end))}">'
            f"{escape(d.label)}</a> {_shown(text[d.start : d.end][:80])}</li>"
            for d in standing
        )
        body = (
            f"<section class=facts>{_facts(rows)}<div class=actions>{buttons}</div>"
            f"<details open><summary>choose</summary>{moves}</details><ul class=decisions>{found}</ul></section>"
            f"<pre id=text tabindex=0>{self._text(parent, text, start, end, numbered=True)}</pre>"
        )
        names = list(self.run.parents)
        at = names.index(parent)
        links = [
            (self.url("document", parent=names[max(at - 1, 0)]), "k", "document before"),
            (self.url("document", parent=names[min(at + 1, len(names) - 1)]), "j", "next document"),
            (self.url(), "n", "next undecided"),
            (self.url("documents"), "d", "documents"),
        ]
        return self._framed(body, f"document {at + 1:,} of {len(names):,}; {len(standing):,} decisions", links)

    @staticmethod
    def _steps(text: str, lines: Sequence[tuple[int, int]], start: int, end: int) -> dict[str, tuple[int, int]]:
        """Return what each key would choose."""
        starts, ends = [a for a, _ in lines], [b for _, b in lines]
        first = max(0, bisect_right(starts, start) - 1)
        last = max(first, bisect_right(starts, end - 1) - 1)
        after, before = lines[min(last + 1, len(lines) - 1)], lines[max(first - 1, 0)]
        less = ends[last - 1] if last > first and ends[last - 1] > start else end
        words = {
            key: moved(text, start, end, border=border, unit="word", forward=forward)
            for border, forward, key in (
                ("end", True, "ArrowRight"),
                ("end", False, "ArrowLeft"),
                ("start", True, "Shift+ArrowRight"),
                ("start", False, "Shift+ArrowLeft"),
            )
        }
        return {
            "ArrowDown": after,
            "ArrowUp": before,
            "Shift+ArrowDown": (start, max(end, after[1])),
            "Shift+ArrowUp": (start, less),
            **words,
        }

    def after(self, parent: str, end: int) -> str:
        """Return the address of the line behind a place, else of the last line."""
        lines = list(line_bounds(self.run.text(parent)))
        start, last = next((line for line in lines if line[0] >= end), lines[-1])
        return self.url("document", parent=parent, start=start, end=last)

    def rule_form(self, at: int, start: int, end: int, toml: str) -> str:
        """Return the draft of a rule, and what it would change."""
        try:
            effect = rule_effect(self.run, toml)
            lines = "".join(f"<li>{_shown(line[:200])}</li>" for line in effect.examples)
            said = (
                f"<p class=effect>would change <b>{effect.documents:,}</b> of {effect.looked_at:,} documents: "
                f"{effect.lines:,} lines that are kept now</p><ul>{lines}</ul>"
            )
        except RuleError as error:
            said = f"<p class=wrong>{_shown(error)}</p>"
        fields = "".join(
            f'<input type=hidden name={n} value="{v}">' for n, v in (("at", at), ("start", start), ("end", end))
        )
        return (
            f'<form class=rule method=post action="{escape(self.url("rule"))}">{fields}'
            "<label>A rule for a pack of your own (--rules)"
            f"<textarea name=toml rows=9 spellcheck=false>{escape(toml)}</textarea></label>{said}"
            "<button>count again</button></form>"
        )


def _facts(rows: Mapping[str, object]) -> str:
    shown = "".join(f"<dt>{name}</dt><dd>{_shown(value)}</dd>" for name, value in rows.items())
    return f"<dl>{shown}</dl>"


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
        if taken is None or taken.parent not in run.parents:
            return RedirectResponse(page.url(), 303)
        place = next((at for at, mark in enumerate(run.queue) if mark[:3] == taken[:3]), None)
        if place is None:
            return RedirectResponse(page.url("document", parent=taken.parent, start=taken.start, end=taken.end), 303)
        return RedirectResponse(page.url(at=place), 303)

    def known(values: dict[str, str]) -> str:
        parent = values.get("parent", "")
        if parent not in run.parents:
            raise HTTPException(404, "no such document")
        return parent

    async def documents(request: Request) -> Response:
        values = dict(request.query_params)
        return HTMLResponse(page.documents(whole(values, "first") if "first" in values else 0, values.get("words", "")))

    async def document(request: Request) -> Response:
        values = dict(request.query_params)
        borders = (whole(values, "start"), whole(values, "end")) if "start" in values else (None, None)
        return HTMLResponse(page.document(known(values), *borders))

    async def label(request: Request) -> Response:
        values = await form(request)
        parent, start, end = known(values), whole(values, "start"), whole(values, "end")
        if not 0 <= start < end <= len(run.text(parent)):
            raise HTTPException(400, "borders outside the text")
        if values.get("label") not in LABELS:
            raise HTTPException(400, "no such label")
        sha256 = run.records(parent)[0]["parent_sha256"]
        journal.add(Decision(parent, start, end, sha256, start, end, values["label"], ""))
        return RedirectResponse(page.after(parent, end), 303)

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
            Route("/{token}/documents", documents),
            Route("/{token}/document", document),
            Route("/{token}/label", label, methods=["POST"]),
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
                    out["content-security-policy"] = page.policy
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
        listener.listen()  # before the address is given: a browser may be faster than the server
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
