import io
import os
import subprocess
import sys

import pytest
from rich.console import Console

from filter import Document, Record, Span, Verdict, pipeline
from filter.command import main
from filter.document import PartNote
from filter.explain import legend, render, summary_row, summary_table
from filter.readers import Item
from filter.writers import part_records

from .toys import by_first_word

TEXT = "One two three four five six seven\n\nEnd\nBuy this\nTres\nStuff\n"
SPANS = (
    Span(0, 35, lang="en"),
    Span(35, 39, lang="en"),
    Span(39, 48, "boilerplate", "en", 0.987, "rule:web/ad", "advertising", ("a marker", "short line")),
    Span(48, 53, lang="es"),
    Span(53, 59, "ai_padding", "en", 0.5, "model:sections"),
)


def document(text=TEXT, spans=SPANS, **fields):
    return Document(text, **fields).with_spans(spans)


def row(doc):
    return summary_row(part_records(doc, Item(Record(text=doc.text), "in"), str))


def shown(renderable, width=50, **options):
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False, **options)
    console.print(renderable)
    return console.file.getvalue()


def test_what_is_to_be_looked_at_stays_content_and_says_why():
    weak = Span(35, 39, "ai_padding", "en", 0.42, "model:sections", reasons=("stock phrases",))
    assert shown(render(document(id="a", review=(weak,)))).splitlines()[4:10] == [
        "content              │ One two three four five six",
        "en                   │ seven",
        "",
        "content              │ End",
        "en                   │ ? AI padding 0.42, to look",
        "                     │ at — stock phrases",
    ]


def test_every_span_stands_beside_its_label_language_score_and_cause():
    assert shown(render(document(id="a"))).splitlines() == [
        "a ────────────────────────────────────────────────",
        "keep · 59 characters · parts: en 45, es 5 · ",
        "removed 9 · flagged 6",
        "",
        "content              │ One two three four five six",
        "en                   │ seven",
        "                     │",
        "                     │ End",
        "",
        "boilerplate          ╳ Buy this",
        "advertising en 0.99  ╳ ↳ rule:web/ad — a marker;",
        "                     ╳ short line",
        "",
        "content              │ Tres",
        "es                   │",
        "",
        "AI padding           ┃ Stuff",
        "en 0.50              ┃ ↳ model:sections",
        "",
    ]


def test_heading_and_summary_say_which_part_translates_which():
    noted = document(id="a", notes={"es": PartNote("en", 0.987)})
    assert "parts: en 45, es 5 (translates en, 0.99) ·" in shown(render(noted), width=120)
    assert row(noted).parts == "en 45\nes 5 (translates en, 0.99)"


def test_legend_names_every_label_and_what_is_done_with_it():
    text = shown(legend(document()), width=200)
    for words in ("│ content", "╳ boilerplate", "┃ AI padding", "┃ spam", "┃ low quality", "╳ removed"):
        assert words in text


def test_verdict_is_given_with_its_reasons():
    text = shown(render(document(verdict=Verdict(False, ("nothing is left",)))), width=100)
    assert "drop (nothing is left)" in text


@pytest.mark.parametrize("text", ["", " \n", "\x0c"], ids=["empty", "blank", "form feed"])
def test_document_without_words(text):
    spans = (Span(0, len(text)),) if text else ()
    assert "keep" in shown(render(document(text, spans)))


@pytest.mark.parametrize("mark", ["\x1b", "\x07", "\r", "\x9b", "\u202e", "\u2066", "\x7f"])
def test_terminal_never_sees_a_control_character(mark):
    text = f"a{mark}[31mb"
    spans = (Span(0, len(text), "spam", "en", 1.0, f"rule:x{mark}", reasons=(mark,)),)
    doc = document(text, spans, id=mark, verdict=Verdict(False, (mark,)))
    for renderable in (render(doc), summary_table([row(doc)])):
        assert mark not in shown(renderable)


def test_square_brackets_are_text_not_style():
    text = "[bold]not bold[/bold] [/]"
    assert text in shown(render(document(text, (Span(0, len(text), lang="en"),), id="[red]")))


def test_wide_characters_stay_in_their_column():
    text = "中文字" * 30
    lines = shown(render(document(text, (Span(0, 90, lang="zh"),)))).splitlines()[3:]
    assert all(line[21] == "│" and len(line) <= 23 + 14 for line in lines if line)
    assert "".join(line[23:] for line in lines) == text


@pytest.mark.parametrize("width", [40, 12])
def test_narrow_terminal_loses_nothing(folder, capsys, width):
    (folder / "a.txt").write_text("EN " + "suspected gangs " * 9)
    assert main(["explain", "a.txt", "--width", str(width)]) == 0
    text = capsys.readouterr().out.split("\n\n")[2]
    assert "".join(line[23:] for line in text.splitlines()).replace(" ", "") == "EN" + "suspectedgangs" * 9


def test_summary_table_counts_by_category_and_label():
    text = shown(summary_table([row(document(id="a"))]), width=120)
    for words in ("en 45", "es 5", "advertising 9", "ai_padding 6"):
        assert words in text
    dropped = row(document(verdict=Verdict(False, ("no use",))))
    assert "dropped: no use" in shown(summary_table([dropped]), width=120)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "_stages", lambda: (by_first_word,))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("EN One\nAD two\n")
    return tmp_path


def test_command_prints_without_escape_codes(folder, capsys):
    assert main(["explain", "a.txt", "--no-color", "--width", "60"]) == 0
    text = capsys.readouterr().out
    assert "boilerplate          ╳ AD two" in text and "\x1b" not in text


def test_command_draws_a_picture(folder, capsys):
    for name in ("one.svg", "two.svg"):
        assert main(["explain", "a.txt", "--svg", name]) == 0
    picture = (folder / "one.svg").read_text(encoding="utf-8")
    assert picture.startswith("<svg") and "boilerplate" in picture
    assert "url(http" not in picture and picture.count("http") == 2  # its name space, and who drew it
    assert picture == (folder / "two.svg").read_text(encoding="utf-8")
    assert capsys.readouterr().out == ""


def test_command_prints_to_a_terminal_of_another_encoding(folder):
    (folder / "a.txt").write_text("El año 中\n", encoding="utf-8")
    command = [sys.executable, "-m", "filter", "explain", "a.txt"]
    environment = os.environ | {"PYTHONIOENCODING": "latin-1:strict"}
    ran = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert b"El a\xf1o \\u4e2d" in ran.stdout


def test_command_goes_on_after_a_bad_input(folder, capsys):
    assert main(["explain", "no.txt", "a.txt"]) == 1
    said = capsys.readouterr()
    assert "AD two" in said.out and "no.txt: no such file" in said.err
    assert main(["explain", "no.txt"]) == 2
