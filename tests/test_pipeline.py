import pytest

from filter import Config, Record, process, process_many
from filter.errors import InputError

LINE = "The river rose two metres overnight and the bridge was closed to traffic.\n"


def test_unusable_record_keeps_its_place_and_stops_no_other():
    sources = [
        LINE,
        Record(id="long", text=LINE * 9, url="https://example.com", meta={"a": 1}),
        Record(id="b", text=LINE),
    ]
    first, bad, last = process_many(sources, Config(max_text_chars=200))
    assert (first.text, last.text, last.id) == (LINE, LINE, "b")
    assert (bad.id, bad.url, bad.meta, bad.text, bad.parts()) == ("long", "https://example.com", {"a": 1}, "", [])
    assert not bad.verdict.keep
    assert "over the limit" in bad.verdict.reasons[0]


def test_one_unusable_record_alone_is_an_error():
    with pytest.raises(InputError, match="over the limit of 10; raise max_text_chars"):
        process(LINE, Config(max_text_chars=10))


def test_batches_change_nothing():
    texts = [LINE * (i % 4) for i in range(9)]
    whole = list(process_many(texts))
    assert whole == list(process_many(texts, Config(batch_chars=1)))
    assert [document.text for document in whole] == texts


def test_any_number_of_jobs_gives_the_same_documents():
    sources = [
        LINE * 3,
        Record(id="long", text=LINE * 90, meta={"a": [1]}),
        "",
        Record(id="page", html=f"<article><p>{LINE * 4}</p></article>", url="https://example.com"),
        *(LINE * (i % 4) + "Subscribe to our newsletter\n" for i in range(9)),
    ]
    config = Config(max_text_chars=5000, batch_chars=400)
    assert list(process_many(sources, config, jobs=2)) == list(process_many(sources, config))


def test_jobs_read_no_further_than_asked():
    read = []
    sources = (read.append(i) or LINE for i in range(1000))
    documents = process_many(sources, Config(batch_chars=len(LINE) * 2), jobs=2)
    next(documents)
    assert len(read) <= 4
    documents.close()


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (LINE, "sources is a single one; put it in a list"),
        (Record(text=LINE), "sources is a single one"),
        ([LINE, None], "NoneType instead of a str or a Record"),
        ([LINE, b"<p>"], r"bytes instead of a str or a Record; a page of bytes is Record\(html=page\)"),
    ],
)
def test_what_is_no_text_is_named(sources, message, jobs):
    with pytest.raises(TypeError, match=message):
        list(process_many(sources, jobs=jobs))


def test_what_is_no_text_is_named_when_it_is_alone():
    with pytest.raises(TypeError, match="int instead of a str or a Record"):
        process(5)


def test_jobs_that_make_no_sense():
    with pytest.raises(ValueError, match="jobs = 0: use 1 or more"):
        list(process_many([LINE], jobs=0))
