from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter import Config, Document, Policy, Record, Span, pipeline, process
from filter.document import LABELS

from .toys import by_first_word

TEXT = st.text(alphabet="ab \n\r\té中", max_size=60)


@st.composite
def documents(draw):
    text = draw(TEXT)
    cuts = sorted(draw(st.sets(st.integers(1, len(text) - 1)))) if len(text) > 1 else []
    bounds = zip([0, *cuts], [*cuts, len(text)], strict=True) if text else []
    label, lang = st.sampled_from(LABELS), st.sampled_from(["en", "es", "und", "zxx"])
    spans = tuple(Span(start, end, draw(label), draw(lang)) for start, end in bounds)
    policy = Policy(*draw(st.tuples(*[st.sampled_from(["strip", "flag", "keep"])] * 4)))
    return Document(text, policy=policy).with_spans(spans)


@given(documents())
def test_parts_and_removals_share_out_every_span_once(document):
    spans = [span for part in document.parts() for span in part.spans] + list(document.removed)
    assert sorted(spans, key=lambda span: span.start) == list(document.spans)


@given(documents())
def test_part_is_its_slices_which_are_ordered_and_apart(document):
    for part in document.parts():
        assert part.text == "".join(document.text[start:end] for start, end in part.kept)
        assert part.kept
        at = 0
        for start, end in part.kept:
            assert at <= start < end <= len(document.text)
            at = end


@given(documents())
def test_part_adds_nothing_to_its_spans_but_line_breaks(document):
    for part in document.parts():
        inside = {i for span in part.spans for i in range(span.start, span.end)}
        slices = {i for start, end in part.kept for i in range(start, end)}
        assert inside <= slices
        assert {document.text[i] for i in slices - inside} <= {"\r", "\n"}


@given(documents())
def test_pieces_of_different_lines_stay_on_different_lines(document):
    for part in document.parts():
        offsets = [i for start, end in part.kept for i in range(start, end)]
        letters = [i for i in offsets if not document.text[i].isspace()]
        for left, right in pairwise(letters):
            apart = any(mark in document.text[left:right] for mark in "\r\n")
            between = offsets[offsets.index(left) : offsets.index(right)]
            assert any(document.text[i] in "\r\n" for i in between) == apart


@given(documents())
def test_one_part_per_language_in_order_of_appearance(document):
    parts = document.parts()
    assert len({part.lang for part in parts}) == len(parts)
    assert [part.spans[0].start for part in parts] == sorted(part.spans[0].start for part in parts)
    assert len(parts) == 1 or not {"und", "zxx"} & {part.lang for part in parts}


@given(documents(), st.booleans())
def test_policy_given_to_parts_comes_before_the_documents_own(document, strips):
    action = "strip" if strips else "keep"
    kept = {span for part in document.parts(Policy(*[action] * 4)) for span in part.spans}
    assert kept == {span for span in document.spans if span.label == "content" or not strips}


@pytest.mark.parametrize(
    ("text", "spans", "expected"),
    [
        pytest.param("", [], [], id="an empty text has no part"),
        pytest.param("Ad\n", [(3, "boilerplate", "en")], [], id="nothing kept, no part"),
        pytest.param("12\n", [(3, "content", "zxx")], [("und", "12\n")], id="numbers alone are undetermined"),
        pytest.param(
            "12\nHi\n34\n",
            [(3, "content", "zxx"), (6, "content", "en"), (9, "content", "und")],
            [("en", "12\nHi\n34\n")],
            id="a span without language joins the part beside it",
        ),
        pytest.param(
            "Hi — Hola\nBye",
            [(5, "content", "en"), (10, "content", "es"), (13, "content", "en")],
            [("en", "Hi — \nBye"), ("es", "Hola\n")],
            id="a line shared by two languages ends in both",
        ),
        pytest.param(
            "A\r\nAd\r\n\r\nB",
            [(3, "content", "en"), (9, "boilerplate", "en"), (10, "content", "en")],
            [("en", "A\r\nB")],
            id="a removed line takes its own line break along",
        ),
        pytest.param(
            "A ad\r\n\r\nB",
            [(2, "content", "en"), (8, "boilerplate", "en"), (9, "content", "en")],
            [("en", "A \r\n\r\nB")],
            id="the end of a line that is removed leaves the line break",
        ),
    ],
)
def test_parts(text, spans, expected):
    ends = [end for end, *_ in spans]
    starts = [0, *ends[:-1]]
    tiles = [Span(start, end, label, lang) for start, (end, label, lang) in zip(starts, spans, strict=False)]
    document = Document(text).with_spans(tiles)
    assert [(part.lang, part.text) for part in document.parts()] == expected


@pytest.mark.parametrize(
    "spans",
    [
        pytest.param([], id="none"),
        pytest.param([Span(0, 2)], id="too short"),
        pytest.param([Span(0, 4)], id="too long"),
        pytest.param([Span(1, 3)], id="late start"),
        pytest.param([Span(0, 1), Span(2, 3)], id="gap"),
        pytest.param([Span(0, 2), Span(1, 3)], id="overlap"),
        pytest.param([Span(0, 0), Span(0, 3)], id="empty span"),
    ],
)
def test_spans_that_do_not_tile_are_refused(spans):
    with pytest.raises(ValueError, match="document 'x'"):
        Document("abc", id="x").with_spans(spans)


@pytest.mark.parametrize("fields", [{}, {"text": "a", "html": "b"}], ids=["neither", "both"])
def test_record_needs_exactly_one_of_text_and_html(fields):
    with pytest.raises(ValueError, match="exactly one of text and html"):
        Record(**fields)


def test_policy_refuses_an_unknown_action():
    with pytest.raises(ValueError, match="use one of strip, flag, keep"):
        Policy(spam="delete")


def test_empty_text_is_a_record():
    assert Record(text="").text == ""


@pytest.mark.parametrize(
    ("text", "policy", "reasons"),
    [
        pytest.param("EN news", {}, None, id="content is kept"),
        pytest.param("EN news\nSPAM", {"spam": "strip"}, None, id="content beside stripped spam is kept"),
        pytest.param("EN news\nAD\nAD\nSPAM\nSPAM", {"spam": "strip"}, None, id="one line of content is enough"),
        pytest.param(" \n", {}, ("the text is empty",), id="blanks are empty"),
        pytest.param("AD\nAD", {}, ("nothing is left after removals",), id="boilerplate alone leaves nothing"),
        pytest.param(
            "AD\nSPAM\nLOW", {}, ("nothing but low_quality and spam",), id="spam and broken text is not worth it"
        ),
        pytest.param("PAD filler", {}, None, id="AI padding alone is kept, flagged"),
    ],
)
def test_verdict(text, policy, reasons, monkeypatch):
    monkeypatch.setattr(pipeline, "_stages", lambda: (by_first_word,))
    verdict = process(text, Config(policy=Policy(**policy))).verdict
    assert verdict.keep == (reasons is None)
    assert verdict.reasons == (reasons or ())
