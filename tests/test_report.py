import base64
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filter import Config, Policy, Record, pipeline, process
from filter.command import main
from filter.readers import Item
from filter.report import _Draw, shown_pieces
from filter.writers import part_records

from .browser import open_browser
from .conftest import ROOT, cases
from .toys import by_first_word

HOSTILE = [
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 2'>",
    "<!--<script>",
    "' onmouseover='window.hacked = 3",
    '" autofocus onfocus="window.hacked = 4',
    "javascript:window.hacked=5",
    "{{data}} {{script_hash}}",
    "a\u2028b\u2029c",
    "\u202eesrever\u2066\x1b[2J\x07",
    "&lt;b&gt;&amp;",
    "</style><style>*{display:none}</style>",
    "<svg onload=window.hacked=6>",
]
TEXT = "AD buy now\nEN The court met <b>today</b>.\nES El tribunal.\nPAD In conclusion.\nSPAM win\nLOW zzz\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "_stages", lambda: (by_first_word,))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_inputs(folder):
    lines = [{"id": "one", "text": TEXT, "url": "https://news.example/1"}, {"text": "EN Kept.\n"}, {"text": "SPAM all"}]
    lines += [{"id": text, "text": f"AD {text}\nEN {text}\nPAD {text}\n", "url": f"https://{text}"} for text in HOSTILE]
    lines += [{"id": f"many-{n}", "text": f"AD {n}\nEN Many.\n"} for n in range(120)]
    data = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "in.jsonl").write_text(f'{data}{{"broken": "<script>"}}\n', encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_stages", lambda: (by_first_word,))
        patch.chdir(folder)
        write_inputs(folder)
        assert main(["run", "in.jsonl", "-o", "out", "--jobs", "0"]) == 1
        assert main(["report", "out", "-o", "report.html"]) == 0
    return folder


@pytest.fixture
def page(folder, made):
    shutil.copytree(made, folder, dirs_exist_ok=True)
    return folder / "report.html"


def data_of(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_nothing_from_documents_is_markup(page):
    elements = Elements(page.read_text(encoding="utf-8")).found
    tags = [tag for tag, _ in elements]
    assert tags.count("script") == 2 and tags.count("style") == 1
    assert not {"img", "iframe", "link", "object", "b:script"} & set(tags)
    for tag, attributes in elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "style")], tag
        assert attributes.get("href", "#").startswith("#")


def test_policy_allows_the_script_and_style_of_the_page_and_nothing_else(page):
    text = page.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    for name in ("script", "style"):
        own = re.search(f"<{name}>(.*?)</{name}>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy


def test_samples_hold_the_whole_text_with_labels_and_causes(page):
    data = data_of(page)
    (one,) = (doc for doc in data["documents"] if doc["id"] == "one")
    assert "".join(piece[3] for piece in one["pieces"]) == TEXT
    assert [(piece[4], data["marks"][piece[5]][:3]) for piece in one["pieces"] if len(piece) > 5] == [
        ("removed", ["boilerplate", "advertising", "rule:toy/boilerplate"]),
        ("flagged", ["AI padding", "", "rule:toy/ai_padding"]),
        ("flagged", ["spam", "", "rule:toy/spam"]),
        ("flagged", ["low quality", "", "rule:toy/low_quality"]),
    ]
    assert {part[0] for part in one["parts"]} == {"en", "es"}
    groups = {data["groups"][group] for group in one["groups"]}
    assert groups == {"removed: advertising", "flagged: AI padding", "flagged: spam", "flagged: low quality"} | {
        "several languages"
    }


def test_page_counts_what_the_run_counted(page):
    summary = json.loads((page.parent / "out" / "summary.json").read_text())
    text = page.read_text(encoding="utf-8")
    removed = summary["removed_chars"]["advertising"]
    assert f"{removed:,} characters" in text
    assert f"<td>{removed:,}</td><td>100.0 %</td><td>{1 + len(HOSTILE) + 120}</td>" in text
    assert f"<b>{summary['documents']:,}</b>" in text
    flagged = summary["flags"]["ai_padding"]
    assert f"<td>{flagged}</td><td>{summary['flagged_chars']['ai_padding']:,}</td>" in text
    assert "nothing but spam" in text and "1 of 1 rejected inputs" in text


@pytest.mark.parametrize(
    "options", [["--by-language"], ["--to", "parquet"], ["--to", "csv"], ["--to", "warc"]], ids=str
)
def test_every_format_gives_the_same_page(page, options):
    if "parquet" in options:
        pytest.importorskip("pyarrow")
    assert main(["run", "in.jsonl", "-o", "out", "--jobs", "0", "--force", *options]) == 1
    assert main(["report", "out", "-o", "other.html"]) == 0
    assert (page.parent / "other.html").read_bytes() == page.read_bytes()


def test_page_does_not_depend_on_the_seed_of_hashes(page):
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "filter", "report", "out", "-o", f"{seed}.html"]
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        subprocess.run(command, check=True, cwd=page.parent, env=environment)
        assert (page.parent / f"{seed}.html").read_bytes() == page.read_bytes()


def test_run_at_an_address_gives_the_same_page(page):
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").put(str(page.parent / "out"), "/report/out", recursive=True)
    assert main(["report", "memory://report/out", "-o", "other.html"]) == 0
    assert (page.parent / "other.html").read_bytes() == page.read_bytes()
    assert 'Run <bdi dir="auto">out</bdi>' in page.read_text(encoding="utf-8")


def test_samples_are_few_and_another_seed_draws_others(page):
    found = []
    for seed in ("0", "0", "1"):
        main(["report", "out", "-o", "few.html", "--samples", "2", "--seed", seed, "--force"])
        found.append([doc["id"] for doc in data_of(page.parent / "few.html")["documents"]])
    assert found[0] == found[1] != found[2]
    assert main(["report", "out", "-o", "few.html", "--samples", "0", "--force"]) == 0
    assert data_of(page.parent / "few.html")["documents"] == []
    assert len(found[0]) <= 2 * 8


def test_page_stays_small_whatever_the_documents(folder, monkeypatch):
    from filter import report

    monkeypatch.setattr(report, "_MAX_BYTES", 20_000)
    monkeypatch.setattr(report, "_MAX_CHARS", 3_000)
    lines = [json.dumps({"id": str(n), "text": f"EN {'<漢' * 4000}\nAD x\n"}, ensure_ascii=False) for n in range(20)]
    (folder / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    main(["run", "in.jsonl", "-o", "out", "--jobs", "0"])
    main(["report", "out", "-o", "report.html"])
    data = data_of(folder / "report.html")
    documents = data["documents"]
    assert 0 < len(documents) < 20
    for doc in documents:
        assert [piece[:2] + piece[4:] for piece in doc["pieces"]] == [[0, 3000, "kept"], [3000, 8009, "cut"]]
        assert len(doc["pieces"][0][3]) == 3000
        assert [data["groups"][group] for group in doc["groups"]] == ["removed: advertising"]  # behind the cut
    assert (folder / "report.html").stat().st_size < 60_000


def test_text_left_out_is_said_to_be_missing(folder):
    (folder / "a.txt").write_text("AD gone\nEN here\n")
    main(["run", "a.txt", "-o", "out", "--no-removed-text", "--jobs", "0"])
    assert main(["report", "out", "-o", "report.html"]) == 0
    (document,) = data_of(folder / "report.html")["documents"]
    assert [(piece[1] - piece[0], piece[3], piece[4]) for piece in document["pieces"]] == [
        (8, "", "missing"),
        (8, "EN here\n", "kept"),
    ]


def test_slowest_documents_come_from_the_log(folder, capsys):
    (folder / "a.txt").write_text("EN here\n")
    main(["run", "a.txt", "-o", "out", "--log-json"])
    (folder / "run.log").write_text(capsys.readouterr().err)
    assert main(["report", "out", "-o", "report.html", "--log", "run.log"]) == 0
    assert 'dir="auto">a.txt</bdi>' in (folder / "report.html").read_text(encoding="utf-8")
    (folder / "run.log").write_text("no log\n")
    assert main(["report", "out", "-o", "other.html", "--log", "run.log"]) == 2
    assert "run.log: no log of a finished run" in capsys.readouterr().err


@pytest.mark.parametrize("case", list(cases("report_errors.jsonl")))
def test_what_is_no_run_is_one_clear_line(case, folder, capsys):
    if case["files"] is not None:
        (folder / "out").mkdir()
        for name, text in case["files"].items():
            (folder / "out" / name).write_text(text)
    assert main(["report", "out", "-o", "report.html"]) == 2
    assert capsys.readouterr().err == f"textsieve: {case['says']}\n"
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "out/documents.jsonl:2: not JSON"),
        ("[]", "out/documents.jsonl:2: not a record of schema 1"),
        ('{"schema": 1}', "out/documents.jsonl:2: not an output record (KeyError: 'id')"),
    ],
    ids=["not JSON", "no object", "fields are missing"],
)
def test_line_that_cannot_be_read_is_named_and_left_out(line, says, folder, capsys):
    (folder / "a.txt").write_text("EN here\n")
    main(["run", "a.txt", "-o", "out", "--jobs", "0"])
    with (folder / "out" / "documents.jsonl").open("a") as file:
        file.write(f"{line}\n")
    capsys.readouterr()
    assert main(["report", "out", "-o", "report.html"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and said[0].startswith(f"textsieve: {says}")
    assert "1 line of the results could not be read" in (folder / "report.html").read_text(encoding="utf-8")


def test_altered_offsets_are_found(folder, capsys):
    (folder / "a.txt").write_text("AD gone\nEN here\n")
    main(["run", "a.txt", "-o", "out", "--jobs", "0"])
    path = folder / "out" / "documents.jsonl"
    path.write_text(path.read_text().replace('"end":8', '"end":-8'))
    assert main(["report", "out", "-o", "report.html"]) == 1
    assert "not an output record (ValueError" in capsys.readouterr().err


def test_missing_records_are_noticed(page):
    (page.parent / "out" / "dropped.jsonl").unlink()
    main(["report", "out", "-o", "report.html", "--force"])
    number = 3 + len(HOSTILE) + 120
    said = f"The run says {number} documents; the records are of {number - 1}."
    assert said in page.read_text(encoding="utf-8")


def test_page_is_not_written_over_or_into_nowhere(page, capsys):
    before = page.read_bytes()
    assert main(["report", "out", "-o", "report.html"]) == 2
    assert main(["report", "out", "-o", "no/report.html"]) == 2
    assert "report.html: is there already" in capsys.readouterr().err
    assert page.read_bytes() == before


WORDS = st.sampled_from(["EN", "ES", "AD", "PAD", "SPAM", "é中😀", " ", "\n", "\r\n", "\n\n", "\t"])


@given(st.lists(WORDS, max_size=25).map(" ".join), st.builds(Policy, *[st.sampled_from(["strip", "flag", "keep"])] * 4))
def test_pieces_are_the_text(text, policy):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_stages", lambda: (by_first_word,))
        document = process(text, Config(policy=policy))
    records = part_records(document, Item(Record(text=text), "a.txt", None), str)
    pieces = shown_pieces(records)
    assert "".join(piece.text for piece in pieces) == text
    assert all(text[piece.start : piece.end] == piece.text for piece in pieces)
    shown = {(p.mark["start"], p.mark["end"], p.kind) for p in pieces if p.mark is not None}
    assert shown == {(s.start, s.end, "removed") for s in document.removed} | {
        (s.start, s.end, "flagged") for s in document.flagged
    }


@given(st.randoms(use_true_random=False), st.integers(1, 5))
@settings(max_examples=20)
def test_draw_does_not_depend_on_the_order_of_records(rng: random.Random, samples):
    records = [(f"d{n // 2}", {"even" if n % 4 < 2 else "odd", "all"}, 10) for n in range(60)]

    def chosen(order):
        draw = _Draw(samples, seed=0)
        for record in order:
            draw.add(*record)
        return list(draw.chosen(1000))

    assert chosen(records) == chosen(rng.sample(records, len(records)))
    assert samples <= len(chosen(records)) <= 3 * samples


@pytest.fixture(scope="module")
def chromium():
    with open_browser() as browser:
        yield browser


@pytest.fixture
def tab(chromium, page):
    """The page in a browser; fails when anything is fetched, refused or goes wrong in it."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    tab = context.new_page()
    trouble = []
    tab.on("pageerror", lambda error: trouble.append(str(error)))
    # A test provokes the policy on purpose; were it the page, an error would come too.
    tab.on("console", lambda message: None if "TrustedHTML" in message.text else trouble.append(message.text))
    tab.on("request", lambda request: trouble.append(request.url) if request.url != page.as_uri() else None)
    tab.on("dialog", lambda dialog: trouble.append("dialog"))
    tab.goto(page.as_uri())
    yield tab
    assert trouble == []
    context.close()


def expect(locator):
    from playwright.sync_api import expect

    return expect(locator)


def rows(tab):
    return tab.locator("#list li").count()


def test_hostile_text_does_not_run_in_a_browser(tab):
    tab.fill("#q", "hacked")
    count = sum("hacked" in text for text in HOSTILE)
    expect(tab.locator("#list li")).to_have_count(count)
    for number in range(count):
        tab.locator("#list button").nth(number).click()
    assert tab.evaluate("window.hacked") is None
    assert tab.locator("#article img, #article script, #article b").count() == 0
    # The policy refuses what the page itself never does.
    assert tab.evaluate("try { document.body.innerHTML = '<p>'; 'set' } catch (error) { error.name }") == "TypeError"


def test_a_huge_line_is_cut_and_the_reading_direction_is_the_pages_own(folder, chromium):
    text = f"AD \u202e{'word ' * 60_000}\nEN The court met.\n"
    (folder / "in.jsonl").write_text(json.dumps({"id": "huge", "text": text}) + "\n", encoding="utf-8")
    assert main(["run", "in.jsonl", "-o", "out", "--jobs", "0"]) == 0
    assert main(["report", "out", "-o", "report.html"]) == 0
    tab = chromium.new_page(viewport={"width": 1200, "height": 900})
    trouble = []
    tab.on("pageerror", lambda error: trouble.append(str(error)))
    tab.on("console", lambda message: trouble.append(message.text))
    tab.goto((folder / "report.html").as_uri())
    tab.locator("#list button").first.click()
    expect(tab.locator("#article .text")).to_contain_text("word word")
    shown = tab.locator("#article .text").inner_text()
    assert len(shown) < 60_000 and "\u202e" not in shown
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab.close()
    assert trouble == []


def test_list_grows_on_demand_and_is_walked_by_arrow_keys(tab):
    assert rows(tab) == 50
    tab.click("#more")
    assert rows(tab) == 100
    assert tab.evaluate("document.activeElement === document.querySelectorAll('#list button')[50]")
    tab.keyboard.press("ArrowDown")
    chosen = tab.locator("#list [aria-current]")
    assert (
        chosen.count() == 1 and chosen.evaluate("b => [...document.querySelectorAll('#list button')].indexOf(b)") == 51
    )
    assert tab.locator("#article h3").inner_text() == chosen.locator("bdi").inner_text()


def test_links_in_tables_and_filters_choose_samples(tab):
    tab.click("#flags a")
    assert tab.locator("#found").inner_text() == f"{1 + len(HOSTILE)} of {3 + len(HOSTILE) + 120} samples"
    tab.select_option("#lang", "es")
    assert rows(tab) == 1
    tab.click("form button")
    expect(tab.locator("#list li")).to_have_count(50)
    tab.fill("#q", "THE COURT met")
    expect(tab.locator("#list li")).to_have_count(1)
    tab.fill("#q", "no such text")
    expect(tab.locator("#list li")).to_have_count(0)
    assert tab.locator("#article").inner_text() == "No sample is like that."


def test_causes_are_shown_by_keyboard_and_mouse_and_hidden_by_escape(tab):
    tab.fill("#q", "the court met")
    expect(tab.locator("#list li")).to_have_count(1)
    assert tab.locator("#article del").inner_text().endswith("AD buy now\n")
    tab.focus("#article")
    tab.keyboard.press("Tab")
    tip = tab.locator("#cause")
    assert "rule:toy/boilerplate\nfirst word" in tip.inner_text()
    assert tab.evaluate("document.activeElement.getAttribute('aria-describedby')") == "cause"
    tab.keyboard.press("Escape")
    assert not tip.is_visible()
    tab.locator("#article mark.spam").hover()
    assert "flagged · spam" in tip.inner_text()
    tab.mouse.move(1, 1)
    assert not tip.is_visible()


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_needs_sideways_scrolling(tab, width):
    tab.set_viewport_size({"width": width, "height": 700})
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_printed_page_has_the_figures_and_the_text_but_no_controls(tab):
    tab.emulate_media(media="print")
    assert tab.locator("#removed table").first.is_visible() and tab.locator("#article .text").is_visible()
    for hidden in ("nav", "form", "#list", "#more"):
        assert not tab.locator(hidden).is_visible()
