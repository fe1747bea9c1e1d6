import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter import Config, Record
from filter.errors import InputError
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
