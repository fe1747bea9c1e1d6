import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter import Config, Record
from filter.command import main
from filter.errors import ConfigError, InputError, ModelError
from filter.extract import _mended, extract

PARAGRAPHS = [
    "The river rose two metres overnight, and the old bridge was closed to all traffic until Thursday morning.",
    "Engineers from the county said that the piers stood firm; the mayor spoke of “a lucky escape” for the town.",
    "Schools on both banks stay shut for the rest of the week, and the ferry runs every half an hour instead.",
]
RUSSIAN = "За ночь река поднялась на два метра, и старый мост закрыли для движения до утра четверга"


def page(body, head=""):
    return f"<!DOCTYPE html><html><head><title>Flood</title>{head}</head><body>{body}</body></html>"


def article(*paragraphs):
    menu = "<nav><a href='/'>Home</a> <a href='/news'>News</a></nav>"
    return f"{menu}<article><h1>Flood</h1>{''.join(f'<p>{p}</p>' for p in paragraphs)}</article>"


def text_of(html, **fields):
    return extract(Record(html=html, **fields), Config()).text


def test_text_is_taken_as_it_stands():
    text = "\ufeff One\r\n\x0c two \n"
    document = extract(Record("a", text=text, url="https://x.org/", meta={"n": 1}), Config())
    assert (document.text, document.id, document.url, document.meta) == (text, "a", "https://x.org/", {"n": 1})


def test_article_is_taken_and_the_menu_is_not():
    text = text_of(page(article(*PARAGRAPHS)))
    assert all(paragraph in text for paragraph in PARAGRAPHS)
    assert "News" not in text


def test_tables_are_kept():
    rows = "".join(f"<tr><td>Station {n}</td><td>{n}.5 metres</td></tr>" for n in range(5))
    assert "3.5 metres" in text_of(page(article(*PARAGRAPHS, f"</p><table>{rows}</table><p>")))


@pytest.mark.parametrize(
    ("encoding", "head", "sentence"),
    [
        pytest.param("utf-8", "", "El año pasó — “así”", id="UTF-8 undeclared"),
        pytest.param(
            "utf-8", '<meta charset="iso-8859-1">', "El año pasó — “así”", id="UTF-8 declared as something else"
        ),
        pytest.param("utf-8-sig", "", "El año pasó", id="UTF-8 with a byte order mark"),
        pytest.param("utf-16", "", "El año pasó — 中", id="UTF-16 with a byte order mark"),
        pytest.param("cp1252", '<meta charset="ISO-8859-1">', "costó 5 € — “así”", id="Windows set under the ISO name"),
        pytest.param("cp1251", '<meta charset="windows-1251">', "Река поднялась на два метра", id="Cyrillic"),
        pytest.param(
            "cp1250",
            '<META http-equiv="Content-Type" content="text/html; charset=windows-1250">',
            "Řeka stoupla o dva metry",
            id="Czech, declared the old way",
        ),
        pytest.param("shift_jis", "<meta charset=Shift_JIS>", "川の水位が上がった", id="Japanese"),
        pytest.param(
            "gb18030", '<meta charset="gb2312">', "河水上涨了两米€", id="Chinese under the name of the small set"
        ),
        pytest.param("cp1251", '<meta charset="no-such-set">', RUSSIAN, id="unknown name, guessed"),
    ],
)
def test_pages_are_decoded_as_a_browser_would(encoding, head, sentence):
    html = page(article(*PARAGRAPHS, f"{sentence}. {sentence}. {sentence}."), head)
    # cp1252 has no room for every letter of the frame, other sets neither.
    assert sentence in text_of(html.encode(encoding, "xmlcharrefreplace"))


def test_page_of_comments_alone_is_not_empty():
    comments = "".join(f"<div class='comment'><p>{paragraph}</p></div>" for paragraph in PARAGRAPHS)
    assert PARAGRAPHS[0] in text_of(page(f"<div id='comments'>{comments}</div>"))


@pytest.mark.parametrize(
    "html",
    ["", "   ", "<html></html>", "no markup", b"", b"\x00\x01\x02\xff", "<p>" * 3, "\x00"],
    ids=["empty", "blank", "no body", "no markup", "no bytes", "binary", "open tags", "NUL"],
)
def test_page_without_text_is_refused(html):
    with pytest.raises(InputError, match="whole page"):
        text_of(html)


def test_page_of_deep_nesting_ends():
    try:
        text = text_of(page("<div>" * 3000 + PARAGRAPHS[0] + "</div>" * 3000))
    except InputError:
        return
    assert PARAGRAPHS[0] in text


@given(
    st.lists(st.sampled_from(["<p>", "</p>", "<div", ">", "<table>", "<td>", "&#", "x", " ", "<!--", "<![CDATA[", "é"]))
)
def test_any_markup_gives_text_or_is_refused(pieces):
    for html in ("".join(pieces), page(article(*PARAGRAPHS, "".join(pieces)))):
        try:
            assert text_of(html).strip()
        except InputError as error:
            assert error.reason and error.remedy


@pytest.mark.parametrize("fault", [ValueError("bad"), RecursionError(), SyntaxError("lxml")], ids=repr)
def test_fault_of_the_parser_is_the_fault_of_the_page(fault, monkeypatch):
    def extract_(*arguments, **options):
        raise fault

    monkeypatch.setattr("trafilatura.extract", extract_)
    with pytest.raises(InputError, match="cannot be parsed"):
        text_of(page(""))


def test_tag_of_very_many_attributes_is_refused_at_once():
    attributes = " ".join(f'a{number}="x"' for number in range(100_000))
    with pytest.raises(InputError, match="more than 5,000 attributes in a tag, at character 60"):
        text_of(page(f"<p {attributes}>{PARAGRAPHS[0]}</p>"))


def test_long_picture_in_an_attribute_is_no_hindrance():
    picture = f'<img src="data:image/png;base64,{"A" * 200_000}==">'
    assert PARAGRAPHS[0] in text_of(page(article(*PARAGRAPHS, picture)))


def test_limit_counts_the_page():
    with pytest.raises(InputError, match="over the limit of 10"):
        extract(Record(html="<p>" * 4), Config(max_text_chars=10))


def test_half_surrogates_are_refused_in_text():
    with pytest.raises(InputError, match=r"U\+D800\) at character 1"):
        extract(Record(text="a\ud800"), Config())


@pytest.mark.parametrize(
    "mark",
    [
        "\ud800",
        "\x00",
        "\x0b",
        "\x1b",
        "\uffff",
        "&#1;",
        "&#x1B;",
        "&#x0001",
        "&#xD800;",
        "&#0;",
        "&nosuch;",
        "<!--",
        "<?",
    ],
)
def test_odd_characters_in_html_cost_no_other_text(mark):
    text = text_of(page(article(f"{PARAGRAPHS[0]}</p><p>{mark} -->", *PARAGRAPHS[1:])))
    assert all(paragraph in text for paragraph in PARAGRAPHS)


@pytest.mark.parametrize(
    "reference", ["&#10;", "&#9;", "&#13;", "&#x26;", "&#38;", "&#160;", "&#x1F600;", "&#8364;", "&#11088;"]
)
def test_other_references_are_left(reference):
    assert _mended(reference) == reference


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
@pytest.mark.parametrize("depth", [100, 300, 2000, 50_000])
def test_nesting_of_any_depth_costs_no_text(extractor, depth):
    deep = f"<p>{PARAGRAPHS[0]}</p>{'<div>' * depth}<p>{PARAGRAPHS[1]}</p>{'</div>' * depth}<p>{PARAGRAPHS[2]}</p>"
    document = extract(Record(html=page(f"<article>{deep}</article>")), Config(extractor=extractor))
    assert all(paragraph in document.text for paragraph in PARAGRAPHS)


def test_page_of_very_many_paragraphs_is_read_within_the_limit():
    paragraphs = "".join(f"<p>Paragraph {number} tells of the river and of the bridge.</p>" for number in range(60_000))
    document = extract(Record(html=page(f"<article>{paragraphs}</article>")), Config())
    assert document.text.count("tells of the river") == 60_000


MANY_LINKS = page(article(*PARAGRAPHS, *("<a href='/x'>Another story of the bridge</a>" for _ in range(12_000))))


@pytest.mark.parametrize("html", [MANY_LINKS, MANY_LINKS.encode()], ids=["str", "bytes"])
def test_page_that_takes_too_long_is_refused_and_the_next_is_read(html):
    started = time.monotonic()
    with pytest.raises(InputError, match=r"takes longer than 0\.001 s to read; raise page_timeout_s"):
        extract(Record(html=html), Config(page_timeout_s=0.001))
    assert time.monotonic() - started < 20
    assert PARAGRAPHS[0] in extract(Record(html=html), Config()).text


def test_page_that_kills_its_process_is_refused(monkeypatch):
    monkeypatch.setattr("filter.extract._page_text", os._exit)  # found by its name, os._exit, in the child
    with pytest.raises(InputError, match="ends the process that reads it; check that it is a whole page"):
        extract(Record(html=MANY_LINKS), Config())


def test_small_pages_need_no_other_process(monkeypatch):
    monkeypatch.setattr("subprocess.Popen", None)
    assert PARAGRAPHS[0] in text_of(page(article(*PARAGRAPHS)))


def test_pages_are_the_same_in_the_child_process_and_out_of_it():
    within = extract(Record(html=MANY_LINKS), Config(page_timeout_s=None)).text
    assert extract(Record(html=MANY_LINKS), Config()).text == within
    with pytest.raises(InputError, match="no text found"):  # errors come through as they are
        text_of("<p> </p>" * 5_100)


@pytest.mark.parametrize(
    ("html", "size"), [("<p>é</p>", 9), ("<p>é</p>".encode(), 9), ("<p>e</p>", 8)], ids=["str", "bytes", "ASCII"]
)
def test_limit_counts_bytes(html, size):
    with pytest.raises(InputError, match=f"{size} bytes is over the limit of {size - 1}; raise max_html_bytes"):
        extract(Record(html=html), Config(max_html_bytes=size - 1))


def test_page_of_20_megabytes_is_refused_at_once():
    with pytest.raises(InputError, match="20,000,000 bytes is over the limit of 10,000,000"):
        text_of(b"<p>x</p>" * 2_500_000)


TEASERS = "".join(
    f"<div><a href='/{n}'>The {n} other stories that readers of this page have read</a></div>" for n in "abc"
)


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
def test_lists_of_links_are_left_out_and_single_links_stay(extractor):
    link = "<a href='/report'>The full report of the county engineers on the state of the bridge</a>"
    paragraphs = "".join(f"<p>{p}</p>" for p in [*PARAGRAPHS, link, "The end came soon."])
    html = page(f"<article><h1>Flood</h1>{paragraphs}</article>{TEASERS}")
    text = extract(Record(html=html), Config(extractor=extractor)).text
    assert all(paragraph in text for paragraph in PARAGRAPHS)
    assert "full report" in text
    assert "other stories" not in text


def test_page_that_is_a_list_of_links_stays():
    items = "".join(
        f"<li><a href='/{n}'>Paper {n} on rivers, bridges and the floods of spring</a></li>" for n in "abcdefgh"
    )
    assert "Paper d on rivers" in text_of(page(f"<article><h1>Papers on floods</h1><ul>{items}</ul></article>"))


def test_what_another_extractor_says_counts_and_does_not_decide(monkeypatch):
    """An extractor that takes one paragraph for the whole text costs no other."""
    monkeypatch.setattr("trafilatura.extract", lambda *arguments, **options: PARAGRAPHS[0])
    text = text_of(page(article(*PARAGRAPHS)))
    assert all(paragraph in text for paragraph in PARAGRAPHS)


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
def test_page_whose_blocks_say_nothing_is_read_as_others_do(extractor, monkeypatch):
    monkeypatch.setattr("filter.blocks.main_text", lambda blocks, votes: "")
    text = extract(Record(html=page(article(*PARAGRAPHS))), Config(extractor=extractor)).text
    assert all(paragraph in text for paragraph in PARAGRAPHS)


def test_missing_model_is_no_fault_of_the_page(monkeypatch):
    def main_text(blocks, votes):
        raise ModelError("no model")

    monkeypatch.setattr("filter.blocks.main_text", main_text)
    with pytest.raises(ModelError, match="no model"):
        text_of(page(article(*PARAGRAPHS)))


def test_run_sets_a_late_page_aside_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("filter.pipeline._stages", lambda: ())
    (tmp_path / "late.html").write_text(MANY_LINKS)
    (tmp_path / "next.html").write_text(page(article(*PARAGRAPHS)))
    (tmp_path / "options.toml").write_text("page_timeout_s = 0.001")
    names = [str(tmp_path / name) for name in ("late.html", "next.html")]
    assert main(["run", *names, "-o", str(tmp_path / "out"), "--config", str(tmp_path / "options.toml")]) == 1
    said = capsys.readouterr().err
    assert "takes longer than 0.001 s to read; raise page_timeout_s" in said
    assert "1 document; " in said and "set aside 1" in said


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
def test_extractor_can_be_chosen(extractor, tmp_path, monkeypatch):
    monkeypatch.setattr("filter.pipeline._stages", lambda: ())
    used = []
    monkeypatch.setattr("filter.extract._main_text", lambda page, name: used.append(name) or "One")
    (tmp_path / "a.html").write_text(page(article(*PARAGRAPHS)))
    assert main(["run", str(tmp_path / "a.html"), "-o", str(tmp_path / "out"), "--extractor", extractor]) == 0
    assert used == [extractor]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"extractor": "lynx"}, "use one of trafilatura, resiliparse"),
        ({"page_timeout_s": 0}, "number of seconds above 0"),
        ({"page_timeout_s": float("nan")}, "number of seconds above 0"),
        ({"page_timeout_s": True}, "number of seconds above 0"),
        ({"max_html_bytes": 0}, "use a whole number"),
    ],
    ids=str,
)
def test_unusable_options_are_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        Config(**options)


def test_page_of_too_many_tags_of_which_no_main_text_is_found_gives_what_is_visible():
    html = page(f"<nav>{'<b></b>' * 30_000}<i>{PARAGRAPHS[0]}</i></nav>")
    assert PARAGRAPHS[0] in text_of(html)
