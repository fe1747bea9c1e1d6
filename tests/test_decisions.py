import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filter import Config, Document, Record, Span, pipeline, process
from filter.decisions import SOURCE, honour, load_decisions
from filter.document import LABELS
from filter.errors import ConfigError
from filter.site_limits import Decided, limit_for, site_limits

from .conftest import ROOT
from .toys import by_first_word

TEXT = "EN One\nAD two\nEN Three\u2028four\nSPAM\n"


@pytest.fixture(autouse=True)
def toy_stages(monkeypatch):
    monkeypatch.setattr(pipeline, "_stages", lambda: (by_first_word, honour))
    load_decisions.cache_clear()


def gold(path, *rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return Config(decisions=(str(path),), review=False)


def stretch(text, words, label, **more):
    start = text.index(words)
    return {"start": start, "end": start + len(words), "label": label, **more}


def labels(document):
    return [(document.text[s.start : s.end].strip(), s.label, s.source) for s in document.spans if s.source == SOURCE]


def test_a_removal_is_overruled(tmp_path):
    config = gold(tmp_path / "g.jsonl", {"id": "x", "text": TEXT, "spans": [stretch(TEXT, "AD two", "content")]})
    assert "AD two" not in process(TEXT).parts()[0].text
    document = process(TEXT, config)
    assert "AD two\n" in "".join(part.text for part in document.parts())
    assert labels(document) == [("AD two", "content", "review")]
    assert document.removed == ()


def test_a_border_cuts_a_span_and_takes_the_blank_behind_it(tmp_path):
    spans = [stretch(TEXT, "Three", "boilerplate", category="legal")]
    document = process(TEXT, gold(tmp_path / "g.jsonl", {"id": "", "text": TEXT, "spans": spans}))
    assert [(document.text[s.start : s.end], s.category) for s in document.removed if s.source == SOURCE] == [
        ("Three\u2028", "legal")
    ]


def test_a_label_that_is_as_right_stays(tmp_path):
    spans = [stretch(TEXT, "SPAM", "low_quality", accept=["spam"])]
    document = process(TEXT, gold(tmp_path / "g.jsonl", {"id": "", "text": TEXT, "spans": spans}))
    assert document.spans[-1].label == "spam" and document.spans[-1].source == "rule:toy/spam"


@pytest.mark.parametrize(
    ("new", "found"),
    [
        ("EN New head\n" + TEXT, [("AD two", "content", "review")]),
        (TEXT + "AD two\n", []),  # which of the two was meant, nobody knows
        ("EN One\n", []),
    ],
)
def test_in_another_text_of_the_same_id_a_decision_goes_by_its_words(tmp_path, new, found):
    config = gold(tmp_path / "g.jsonl", {"id": "x", "text": TEXT, "spans": [stretch(TEXT, "AD two", "content")]})
    assert labels(process(Record(id="x", text=new), config)) == found
    assert labels(process(Record(id="y", text=new), config)) == []


def test_a_line_that_was_decided_on_is_known_on_the_other_pages_of_its_site(tmp_path):
    rows = [
        {"id": "1", "url": "https://a.example/1", "text": "AD 1 two\nEN Menu\nEN So\n", "spans": []},
        {"id": "2", "url": "https://a.example/2", "text": "EN So\n", "spans": []},
    ]
    rows[0]["spans"] = [
        stretch(rows[0]["text"], "AD 1 two", "content"),
        stretch(rows[0]["text"], "EN Menu", "boilerplate", category="navigation"),
        stretch(rows[0]["text"], "EN So", "boilerplate"),
    ]
    rows[1]["spans"] = [stretch("EN So\n", "EN So", "content")]
    config = gold(tmp_path / "g.jsonl", *rows)
    text = "AD 7 two\nEN  menu\nEN So\nAD other\n"
    found = labels(process(Record(id="x", text=text, url="https://www.a.example/3"), config))
    assert found == [("AD 7 two", "content", "review"), ("EN  menu", "boilerplate", "review")]
    assert labels(process(Record(id="x", text=text, url="https://b.example/3"), config)) == []
    assert labels(process(Record(id="x", text=text), config)) == []


def test_the_last_file_counts(tmp_path):
    row = {"id": "x", "text": TEXT}
    first = gold(tmp_path / "a.jsonl", {**row, "spans": [stretch(TEXT, "EN One", "spam")]})
    second = gold(tmp_path / "b.jsonl", {**row, "spans": [stretch(TEXT, "EN One", "low_quality")]})
    config = replace(first, decisions=(*first.decisions, *second.decisions))
    assert labels(process(TEXT, config)) == [("EN One", "low_quality", "review")]


def test_what_was_decided_is_no_longer_to_be_looked_at(tmp_path):
    config = gold(tmp_path / "g.jsonl", {"id": "x", "text": "a\nb\n", "spans": [stretch("a\nb\n", "a", "content")]})
    weak = (Span(0, 2, "spam"), Span(2, 4, "spam"))
    document = Document("a\nb\n", (Span(0, 2), Span(2, 4)), review=weak)
    assert honour([document], config)[0].review == weak[1:]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("{", "not a gold document"),
        ('{"id": "x", "text": "a", "spans": [{"start": 0, "end": 1, "label": "advert"}]}', "advert"),
        ('{"id": "x", "text": "a", "spans": [{"start": 0, "end": 1, "category": "x"}]}', "unknown category"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, line, word):
    (tmp_path / "g.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(ConfigError, match=word) as error:
        process(TEXT, Config(decisions=(str(tmp_path / "g.jsonl"),)))
    assert "g.jsonl:1" in str(error.value)


@given(st.data())
def test_decisions_keep_the_partition(tmp_path_factory, data):
    text = data.draw(st.text(st.sampled_from("ab \n\u2028"), min_size=1, max_size=40))
    spans = []
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text) - 1))
        end = data.draw(st.integers(start + 1, len(text)))
        spans.append({"start": start, "end": end, "label": data.draw(st.sampled_from(LABELS))})
    load_decisions.cache_clear()
    config = gold(tmp_path_factory.mktemp("d") / "g.jsonl", {"id": "x", "text": text, "spans": spans})
    cuts = sorted({0, len(text), *data.draw(st.lists(st.integers(0, len(text)), max_size=5))})
    document = Document(text, tuple(Span(a, b) for a, b in itertools.pairwise(cuts)))
    decided = honour([document], config)[0]  # with_spans checks the tiling
    last = spans[-1]
    inside = [s for s in decided.spans if s.start < last["end"] and last["start"] < s.end]
    assert {s.label for s in inside} == {last["label"]}
    assert honour([decided], config)[0].spans == decided.spans


# --- how sure the section model must be on a site


@pytest.mark.parametrize(
    ("decided", "limit"),
    [
        ([(3.0, True)] * 9, 4.0),  # too few
        ([(3.0, True)] * 10, 3.0),
        ([(3.0, True)] * 10 + [(2.0, False)], 3.0),
        ([(3.0, True)] * 10 + [(3.5, False)] * 2, 4.0),  # more would be lost than found
        ([(5.0, False)] * 10 + [(6.0, True)], 5.01),  # the usual limit is too low here
        ([(-9.0, True)] * 10, 4.0),  # so unsure that anything would be flagged
    ],
)
def test_a_limit_goes_where_least_is_wrong(decided, limit):
    assert limit_for([Decided(odds, is_filler, 300) for odds, is_filler in decided], usual=4.0) == limit


def test_what_was_decided_of_a_site_moves_its_limit_on_other_pages(tmp_path, monkeypatch):
    text = (ROOT / "seeds" / "002_7a8349eba1df39b9.txt").read_text(encoding="utf-8")
    monkeypatch.undo()  # all stages
    document = process(text)
    filler = [span for span in document.spans if span.label == "ai_padding"]
    spans = [{"start": filler[0].start, "end": filler[-1].end, "label": "content"}]
    rows = [{"id": f"{i}", "url": f"https://a.example/{i}", "text": f"{text}\n", "spans": spans} for i in range(10)]
    site_limits.cache_clear()
    config = gold(tmp_path / "g.jsonl", *rows)
    other = f"Another page of the site begins in another way.\n{text}"
    [limit] = site_limits(config)["a.example"].values()
    assert limit > 4.0

    def labels_of(url):
        return {s.label for s in process(Record(text=other, url=url), config).spans if s.source == "model:sections"}

    assert labels_of("https://b.example/") == {"ai_padding"} and labels_of("https://a.example/") == set()
