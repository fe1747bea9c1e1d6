import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter.command import main
from filter.decisions import load_decisions
from filter.errors import RuleError, UsageError
from filter.evaluation import read_gold
from filter.review import JOURNAL, Decision, Journal, Run, draft_rule, export, moved, rule_effect

from .browser import open_page
from .conftest import ROOT

ARTICLE = (
    "Council opens the new library after a long delay\n"
    "The council opened the library on Monday, two years later than it had planned when work began in spring.\n"
    "Subscribe to our newsletter\n"
    "Residents said that the delay had cost the town a great deal, and that they were glad to see it over at last.\n"
    "The clerk then read page 23 of the minutes 😀 to those who had come to the opening\n"
)
OTHER = ARTICLE.replace("Subscribe to our newsletter\n", "").replace("23", "7").replace("Monday", "Friday")


@pytest.fixture
def out(tmp_path):
    for name, text in (("a", ARTICLE), ("b", OTHER)):
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    assert main(["run", str(tmp_path / "a.txt"), str(tmp_path / "b.txt"), "-o", str(tmp_path / "out")]) == 0
    return tmp_path / "out"


@pytest.fixture
def journal(out):
    journal = Journal(out / JOURNAL)
    yield journal
    journal.close()


def mark_of(run, words):
    return next(mark for mark in run.queue if words in run.text(mark.parent)[mark.start : mark.end])


def lines_of(folder):
    return (folder / "documents.jsonl").read_bytes().splitlines()


def decided(mark, label, **more):
    start, end = more.get("start", mark.start), more.get("end", mark.end)
    sha256 = more.get("sha256", "")
    return Decision(mark.parent, mark.start, mark.end, sha256, start, end, label, more.get("category", ""))


# --- the queue and the journal ---


def record(parent, **spans):
    common = {"lang": "en", "reasons": ["why"], "category": ""}
    full = {
        name: [{"start": a, "end": b, "label": label, "score": score, "source": source, **common}]
        for name, (a, b, label, score, source) in spans.items()
    }
    return {"schema": 1, "parent": parent, "id": parent, "removed": [], "flags": [], **full}


def test_the_least_sure_come_first(tmp_path):
    rows = [
        record("sure", removed=(0, 1, "boilerplate", 0.99, "model:lines")),
        record("limit", removed=(0, 1, "boilerplate", 0.8, "model:lines")),
        record("close", removed=(0, 1, "boilerplate", 0.82, "model:lines")),
        record(
            "below",
            flags=(0, 1, "ai_padding", 0.9, "model:sections"),
            review=(2, 3, "ai_padding", 0.85, "model:sections"),
        ),
        record("rule", removed=(0, 1, "boilerplate", 0.95, "rule:en/legal")),
    ]
    (tmp_path / "documents.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    queue = Run(tmp_path).queue
    assert [(mark.parent, mark.state) for mark in queue] == [
        ("below", "flagged"),
        ("limit", "removed"),
        ("close", "removed"),
        ("below", "review"),
        ("sure", "removed"),
        ("rule", "removed"),
    ]


@pytest.mark.parametrize(
    ("files", "word"),
    [({}, "no results"), ({"documents.parquet": b""}, "--to jsonl"), ({"documents.jsonl": b"{}\n"}, "schema 1")],
)
def test_a_folder_that_cannot_be_reviewed_is_named(tmp_path, files, word):
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError, match=word) as error:
        Run(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_a_decision_is_replaced_and_undone(out, journal):
    mark = Run(out).queue[0]
    assert journal.undo() is None
    journal.add(decided(mark, "content"))
    journal.add(decided(mark, "spam"))
    assert [d.label for d in journal.standing().values()] == ["spam"]
    assert journal.undo().label == "spam"
    assert [d.label for d in journal.standing().values()] == ["content"]
    assert journal.undo().label == "content" and journal.standing() == {}


def test_a_decision_survives_a_crash(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from filter.review import Decision, Journal;"
        "Journal(Path(sys.argv[1])).add(Decision('a', 0, 1, '', 0, 1, 'content', '')); os.kill(os.getpid(), 9)"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path / JOURNAL)], cwd=ROOT, check=False)
    assert ran.returncode == -signal.SIGKILL
    journal = Journal(tmp_path / JOURNAL)
    assert [d.parent for d in journal.standing().values()] == ["a"]
    journal.close()


def test_a_file_that_is_no_journal_is_named(tmp_path):
    (tmp_path / JOURNAL).write_text("something else " * 100)
    with pytest.raises(UsageError, match=r"review\.sqlite"):
        Journal(tmp_path / JOURNAL)


@pytest.mark.parametrize(
    ("border", "unit", "forward", "found"),
    [
        ("start", "word", True, "two\n"),
        ("start", "word", False, "zero one two\n"),
        ("end", "word", False, "one "),
        ("end", "word", True, "one two\nthree "),
        ("end", "line", True, "one two\nthree four"),
        ("end", "line", False, "one two\n"),
        ("start", "line", False, "zero one two\n"),
        ("start", "line", True, "one two\n"),
    ],
)
def test_a_border_moves(border, unit, forward, found):
    text = "zero one two\nthree four"
    start, end = moved(text, 5, 13, border=border, unit=unit, forward=forward)
    assert text[start:end] == found


# --- export and re-run ---


def test_what_was_decided_holds_in_the_next_run(out, journal, tmp_path, capsys):
    run = Run(out)
    mark = mark_of(run, "Subscribe")
    sha256 = run.records(mark.parent)[0]["parent_sha256"]
    journal.add(decided(mark, "content", sha256=sha256))
    gold = tmp_path / "gold.jsonl"
    assert main(["review", str(out), "--export", str(gold)]) == 0
    [row] = read_gold(gold)
    assert row.text == ARTICLE and [row.text[s.start : s.end] for s in row.spans] == ["Subscribe to our newsletter"]
    assert main(["evaluate", str(gold)]) == 0
    load_decisions.cache_clear()
    inputs = [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    assert main(["run", *inputs, "-o", str(tmp_path / "again"), "--decisions", str(gold)]) == 0
    kept = [json.loads(line)["text"] for line in lines_of(tmp_path / "again")]
    assert any("Subscribe to our newsletter\n" in text for text in kept)
    assert not any("Subscribe" in json.loads(line)["text"] for line in lines_of(out))


def test_export_lets_the_last_of_overlapping_decisions_count_and_leaves_other_texts_out(out, journal):
    run = Run(out)
    mark = mark_of(run, "Subscribe")
    sha256 = run.records(mark.parent)[0]["parent_sha256"]
    at = ARTICLE.index("newsletter")
    journal.add(decided(mark, "boilerplate", category="newsletter", sha256=sha256))
    journal.add(decided(mark._replace(start=at), "spam", end=at + 10, sha256=sha256))
    journal.add(decided(mark._replace(start=0), "spam", end=5, sha256="another text"))
    [row] = map(json.loads, export(run, journal))
    assert [(ARTICLE[s["start"] : s["end"]], s["label"]) for s in row["spans"]] == [
        ("Subscribe to our", "boilerplate"),
        ("newsletter", "spam"),
    ]


def test_without_decisions_there_is_nothing_to_export(out, capsys):
    assert main(["review", str(out), "--export", "gold.jsonl"]) == 2
    assert "no decisions yet" in capsys.readouterr().err


# --- rules ---


def test_a_rule_drafted_from_a_line_finds_it_with_other_numbers(out):
    run = Run(out)
    parent = next(name for name in run.parents if run.text(name) == ARTICLE)
    start = ARTICLE.index("The clerk")
    toml = draft_rule(run, parent, start, len(ARTICLE), "boilerplate", "related")
    assert 'hits = ["The clerk then read page 23 of the minutes 😀 to those who had come to the opening"]' in toml
    effect = rule_effect(run, toml)
    assert (effect.documents, effect.looked_at, effect.lines) == (2, 2, 2)
    assert "The clerk then read page 7 of the minutes 😀 to those who had come to the opening" in effect.examples


def test_a_draft_that_does_not_work_says_why(out):
    run = Run(out)
    for toml, word in (("[[rule]", "not TOML"), ("[[rule]]\nid = 'a'\n", "category")):
        with pytest.raises(RuleError, match=word) as error:
            rule_effect(run, toml)
        assert "/" not in str(error.value).split(":")[0]


# --- the page ---


@pytest.fixture
def client(out, journal):
    pytest.importorskip("starlette", reason="needs starlette; pip install 'textsieve[review]'")
    pytest.importorskip("httpx", reason="needs httpx; pip install 'textsieve[dev]'")
    from filter.review_page import app

    from .asgi import Client

    return Client(app(Run(out), journal, token="secret", hosts=frozenset({"127.0.0.1:8000"})))


OWN = {"origin": "http://127.0.0.1:8000"}


def test_the_page_shows_a_mark_and_takes_a_decision(client, journal):
    page = client.get("/secret/?at=0")
    assert page.status_code == 200 and "<mark id=current>" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    form = {"at": 0, "start": 0, "end": 5, "label": "content", "category": ""}
    answer = client.post("/secret/decide", data=form, headers=OWN)
    assert answer.status_code == 303
    [decision] = journal.standing().values()
    assert (decision.start, decision.end, decision.label) == (0, 5, "content")
    client.post("/secret/undo", headers=OWN)
    assert journal.standing() == {}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {}, 404),
        ("/wrong/", {}, 404),
        ("/secret/", {"host": "evil.example"}, 403),
        ("/secret/", {"host": "127.0.0.1:9"}, 403),
        ("/secret/", {"origin": "http://evil.example"}, 403),
    ],
)
def test_others_get_nothing(client, path, headers, status):
    assert client.get(path, headers=headers).status_code == status


@pytest.mark.parametrize("headers", [{}, {"origin": "null"}, {"origin": "http://evil.example"}])
def test_a_forged_form_is_refused(client, journal, headers):
    form = {"at": 0, "start": 0, "end": 5, "label": "content"}
    assert client.post("/secret/decide", data=form, headers=headers).status_code == 403
    assert journal.standing() == {}


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({}, 400),
        ({"at": "x"}, 400),
        ({"at": 99999, "start": 0, "end": 1, "label": "content"}, 404),
        ({"at": 0, "start": 5, "end": 5, "label": "content"}, 400),
        ({"at": 0, "start": 0, "end": 10**9, "label": "content"}, 400),
        ({"at": 0, "start": 0, "end": 1, "label": "advert"}, 400),
        ({"at": 0, "start": 0, "end": 1, "label": "content", "category": "<b>"}, 400),
        ({"x": "y" * 300_000}, 413),
    ],
)
def test_a_wrong_form_is_refused(client, journal, form, status):
    assert client.post("/secret/decide", data=form, headers=OWN).status_code == status
    assert journal.standing() == {}


def test_what_documents_say_is_text_on_the_page(tmp_path):
    pytest.importorskip("starlette", reason="needs starlette; pip install 'textsieve[review]'")
    from filter.review_page import _Page

    text = "<script>alert(1)</script> The council met.\nSubscribe to our newsletter\n"
    (tmp_path / "<b>.txt").write_text(text)
    assert main(["run", str(tmp_path / "<b>.txt"), "-o", str(tmp_path / "out")]) == 0
    journal = Journal(tmp_path / "out" / JOURNAL)
    shown = _Page(Run(tmp_path / "out"), journal, "/t").show(0)
    journal.close()
    assert "<script>alert" not in shown and "<b>" not in shown and "&lt;script&gt;" in shown


def test_a_missing_extra_is_named(out, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["review", str(out)]) == 2
    assert "textsieve[review]" in capsys.readouterr().err


@contextmanager
def reviewed(folder):
    """Serve the page of a run, and yield its address."""
    command = [sys.executable, "-m", "filter", "review", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as served:
        try:
            yield served.stdout.readline().strip()
        finally:
            served.send_signal(signal.SIGINT)
    assert served.returncode == 0


def test_a_wrong_removal_is_found_overruled_and_kept_in_the_next_run(out, tmp_path):
    pytest.importorskip("uvicorn", reason="needs uvicorn; pip install 'textsieve[review]'")

    def shown(selector, **more):
        """Wait for something on a page, then for the page's script: keys pressed before it runs are lost."""
        page.locator(selector, **more).wait_for()
        page.wait_for_load_state()

    with reviewed(out) as root, open_page() as page:
        page.goto(root)
        for _ in range(20):
            if "Subscribe" in page.locator("#current").inner_text():
                break
            page.keyboard.press("j")
            page.wait_for_load_state()
        assert page.locator("dd", has_text="left out of the output").is_visible()
        page.keyboard.press("ArrowLeft")
        page.wait_for_url("**end=*")
        assert page.locator("#current").inner_text().strip() == "Subscribe to our"
        page.keyboard.press("ArrowRight")
        shown("#current", has_text="newsletter")
        page.keyboard.press("r")
        shown(".effect")
        assert "would change 0 of 2 documents" in page.locator(".effect").inner_text()
        if folder := os.environ.get("TEXTSIEVE_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/review.png")
        page.keyboard.press("c")
        shown("header strong", has_text="1 decided")
        page.keyboard.press("u")
        shown("header strong", has_text="0 decided")
        page.keyboard.press("c")
        shown("header strong", has_text="1 decided")
    gold = tmp_path / "gold.jsonl"
    assert main(["review", str(out), "--export", str(gold)]) == 0
    load_decisions.cache_clear()
    assert main(["run", str(tmp_path / "a.txt"), "-o", str(tmp_path / "again"), "--decisions", str(gold)]) == 0
    assert re.search("Subscribe to our newsletter", (tmp_path / "again" / "documents.jsonl").read_text("utf-8"))


# --- any document, line by line


def test_a_missed_line_is_reached_by_keys_and_labelled(client, out, journal):
    run = Run(out)
    parent = next(name for name in run.parents if run.text(name) == ARTICLE)
    page = client.get("/secret/document", params={"parent": parent})
    first, second = (ARTICLE.index(words) for words in ("Council", "The council"))
    assert f"start={first}&amp;end={second - 1}" in page.text  # its first line can be chosen by mouse
    assert 'data-key="Shift+ArrowDown"' in page.text
    start, end = ARTICLE.index("Residents"), ARTICLE.index("over at last.") + len("over at last.")
    form = {"parent": parent, "start": start, "end": end, "label": "boilerplate"}
    answer = client.post("/secret/label", data=form, headers=OWN)
    assert answer.status_code == 303
    then = client.get(answer.headers["location"])
    assert "boilerplate</a> Residents said" in then.text and "<mark id=current>" in then.text
    [decision] = journal.standing().values()
    assert (decision.start, decision.end, decision.label) == (start, end, "boilerplate")
    [row] = map(json.loads, export(run, journal))
    assert [(s["start"], s["end"], s["label"]) for s in row["spans"]] == [(start, end, "boilerplate")]
    back = client.post("/secret/undo", headers=OWN)
    assert journal.standing() == {} and f"start={start}&end={end}" in back.headers["location"]


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({}, 404),
        ({"parent": "none"}, 404),
        ({"start": 5, "end": 5}, 400),
        ({"start": 0, "end": 10**9}, 400),
        ({"start": "x", "end": 2}, 400),
        ({"start": 0, "end": 2, "label": "advert"}, 400),
    ],
)
def test_a_wrong_stretch_is_refused(client, out, journal, form, status):
    parent = next(iter(Run(out).parents))
    form = {"parent": parent, "label": "content", **form} if form else form
    assert client.post("/secret/label", data=form, headers=OWN).status_code == status
    assert journal.standing() == {}


def test_documents_are_listed_by_name(client, out):
    page = client.get("/secret/documents")
    assert "1 to 2 of 2 documents" in page.text and "document?parent=a" in page.text
    assert "1 to 1 of 1 documents" in client.get("/secret/documents", params={"words": "B"}).text
    assert "0 to 0 of 0 documents" in client.get("/secret/documents", params={"words": "zzz", "first": "7"}).text


@given(st.data())
def test_every_key_chooses_a_stretch_of_the_text(data):
    from filter.review_page import _Page
    from filter.segment import line_bounds

    text = data.draw(st.text(st.sampled_from("ab \n\r\u2028"), min_size=1, max_size=40).filter(str.strip))
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    for a, b in _Page._steps(text, list(line_bounds(text)), start, end).values():
        assert 0 <= a < b <= len(text)


# --- hostile documents in a browser


HOSTILE = [
    "</script><script>document.title = 'hacked'</script> Subscribe to our newsletter",
    "<img src=x onerror=\"document.title = 'hacked'\"> Subscribe to our newsletter",
    "' onmouseover='document.title = `hacked`' x=' Subscribe to our newsletter",
    "javascript:document.title='hacked' <a href=\"javascript:document.title='hacked'\">Subscribe</a> to our newsletter",
    "</mark></pre></style><style>*{display:none}</style><base href=//evil.example> Subscribe to our newsletter",
    "\u202eretteslwen ruo ot ebircsbuS\u2066 \x1b[2J\x07 Subscribe to our newsletter",
    "$body $script ${progress} &lt;b&gt; Subscribe to our newsletter",
]


def test_hostile_documents_are_only_text_in_a_browser(tmp_path):
    pytest.importorskip("uvicorn", reason="needs uvicorn; pip install 'textsieve[review]'")
    prose = "The council opened the library on Monday, two years later than it had planned when work began. "
    rows = [
        {
            "id": text,
            "url": "javascript:document.title='hacked'",
            "text": f"{prose}\n{text}\nSubscribe to our newsletter",
        }
        for text in HOSTILE
    ]
    rows.append({"id": "huge", "text": f"{prose}\n{prose * 3000}\nSubscribe to our newsletter\n"})
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["run", str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "out")]) == 0
    run = Run(tmp_path / "out")
    folder = os.environ.get("TEXTSIEVE_SCREENSHOTS")
    with reviewed(tmp_path / "out") as root, open_page() as page:
        requests = []
        page.on("request", lambda request: requests.append(request.url))
        addresses = [f"{root}?at={at}" for at in range(len(run.queue))]
        addresses += [f"{root}document?{urlencode({'parent': name})}" for name in run.parents]
        for address in [*addresses, f"{root}documents"]:
            page.goto(address)
            page.wait_for_load_state()
            assert "textsieve review" in page.title()
            assert page.locator("img, base, iframe, [onmouseover], [href^=javascript]").count() == 0
            assert page.locator("script").count() == page.locator("style").count() == 1
            assert len(page.content()) < 500_000
        page.goto(f"{root}document?{urlencode({'parent': HOSTILE[5]})}")
        page.keyboard.press("ArrowDown")
        page.wait_for_url("**start=*")
        assert "[U+202E]retteslwen" in page.locator("#current").inner_text()
        if folder:
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                page.screenshot(path=f"{folder}/document-{scheme}.png")
        page.goto(f"{root}document?{urlencode({'parent': 'huge'})}")
        page.keyboard.press("ArrowDown")
        page.wait_for_url("**start=*")
        assert "characters …" in page.locator("#current").inner_text()
        assert {url[: len(root)] for url in requests} == {root}


def test_a_missed_line_is_labelled_by_keys_in_a_browser(out):
    pytest.importorskip("uvicorn", reason="needs uvicorn; pip install 'textsieve[review]'")
    with reviewed(out) as root, open_page() as page:
        page.goto(root)
        page.wait_for_load_state()
        page.keyboard.press("d")
        page.locator("td a", has_text="a").first.wait_for()
        page.locator("td a", has_text="a").first.click()
        page.locator("#current", has_text="Council opens").wait_for()
        page.wait_for_load_state()
        page.keyboard.press("ArrowDown")
        page.locator("#current", has_text="two years later").wait_for()
        page.wait_for_load_state()
        page.keyboard.press("Shift+ArrowDown")
        page.locator("#current", has_text="Subscribe").wait_for()
        page.wait_for_load_state()
        page.keyboard.press("b")
        page.locator(".decisions li", has_text="boilerplate").wait_for()
    journal = Journal(out / JOURNAL)
    [decision] = journal.standing().values()
    journal.close()
    assert ARTICLE[decision.start : decision.end].split("\n")[1] == "Subscribe to our newsletter"
