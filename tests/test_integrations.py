"""Each with the real package, where it is installed."""

import functools
import json
import re
import subprocess
import sys

import pytest

from filter import Config

from .conftest import ROOT

pa = pytest.importorskip("pyarrow")
arrow = pytest.importorskip("filter.arrow")

STORY = "The river rose two metres overnight and the bridge was closed to traffic.\n"
NOTICE = "Subscribe to our newsletter\n"
SPANISH = "El río creció dos metros durante la noche y el puente fue cerrado al tráfico por la policía.\n"
ROWS = {"id": ["a", "b", "c"], "text": [STORY + NOTICE, STORY + "\n" + SPANISH, ""], "n": [1, 2, 3]}
EXPECTED = [("a", "en", STORY), ("b#en", "en", STORY + "\n"), ("b#es", "es", SPANISH), ("c", "und", "")]

# What other packages warn of is not for us to mend.
pytestmark = pytest.mark.filterwarnings("ignore")


def check(rows):
    assert [(row["id"], row["lang"], row["text"]) for row in rows] == EXPECTED
    assert [json.loads(row["meta"])["n"] for row in rows] == [1, 2, 2, 3]
    assert rows[0]["removed"][0]["text"] == NOTICE
    assert [row["verdict"]["keep"] for row in rows] == [True, True, True, False]


def test_arrow():
    check(arrow.process_table(pa.table(ROWS)).to_pylist())


def test_polars():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(ROWS)
    result = polars.from_arrow(arrow.process_table(frame.to_arrow()))
    check(result.to_dicts())
    assert result.filter(polars.col("lang") == "es").height == 1


def test_duckdb():
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    # A connection does one thing at a time, so the articles are read by one and the parts written by another.
    reading = connection.cursor()
    reading.register("articles", pa.table(ROWS))
    batches = reading.sql("SELECT * FROM articles ORDER BY id").to_arrow_reader(2)
    parts = pa.RecordBatchReader.from_batches(arrow.output_schema(), arrow.process_batches(batches))
    connection.register("parts", parts)
    connection.sql("CREATE TABLE kept AS SELECT * FROM parts")
    check(connection.sql("SELECT * FROM kept ORDER BY id").to_arrow_table().to_pylist())
    assert connection.sql("SELECT sum(len(removed)) FROM kept").fetchall() == [(1,)]


def test_hugging_face_datasets(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    dataset = datasets.Dataset.from_dict(ROWS).with_format("arrow")
    result = dataset.map(arrow.process_table, batched=True, remove_columns=dataset.column_names)
    check(result.with_format(None).to_list())


def test_ray_data():
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        dataset = ray.data.from_arrow(pa.table(ROWS))
        gentle = functools.partial(arrow.process_table, config=Config(preset="gentle"))
        result = dataset.map_batches(gentle, batch_format="pyarrow", batch_size=None)
        tables = ray.get(result.to_arrow_refs())
        check(pa.concat_tables(tables).sort_by("id").to_pylist())
    finally:
        ray.shutdown()


def test_spark(monkeypatch):
    pytest.importorskip("pyspark")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    from pyspark.sql import SparkSession
    from pyspark.sql.pandas.types import from_arrow_schema

    options = {"spark.ui.enabled": "false", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    builder = SparkSession.builder.master("local[1]")
    for name, value in options.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    try:
        frame = spark.createDataFrame(pa.table(ROWS).to_pylist()).coalesce(1)
        result = frame.mapInArrow(arrow.process_batches, from_arrow_schema(arrow.output_schema()))
        check([row.asDict(recursive=True) for row in result.orderBy("id").collect()])
    finally:
        spark.stop()


def test_datatrove(tmp_path):
    pytest.importorskip("datatrove")
    from datatrove.data import Document
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.writers.jsonl import JsonlWriter

    from filter.integrations.datatrove import Textsieve

    rows = zip(ROWS["id"], ROWS["text"], ROWS["n"], strict=True)
    documents = [Document(text or "\n", name, metadata={"n": n}) for name, text, n in rows]
    documents.append(Document("x\ud800", "d"))
    step = Textsieve(Config(), exclusion_writer=JsonlWriter(str(tmp_path / "excluded"), compression=None))
    executor = LocalPipelineExecutor(
        [documents, step, JsonlWriter(str(tmp_path / "kept"), compression=None)],
        tasks=1,
        logging_dir=str(tmp_path / "logs"),
    )
    executor.run()
    kept = [json.loads(line) for line in (tmp_path / "kept" / "00000.jsonl").read_bytes().splitlines()]
    assert [(one["id"], one["metadata"]["textsieve"]["lang"], one["text"]) for one in kept] == EXPECTED[:3]
    assert [one["metadata"]["n"] for one in kept] == [1, 2, 2]
    assert kept[0]["metadata"]["textsieve"]["removed"][0]["text"] == NOTICE
    excluded = [json.loads(line) for line in (tmp_path / "excluded" / "00000.jsonl").read_bytes().splitlines()]
    assert [one["id"] for one in excluded] == ["c", "d"]
    assert excluded[0]["metadata"]["filter_reason"] == "the text is empty"
    assert "half of a surrogate pair" in excluded[1]["metadata"]["filter_reason"]


def test_datatrove_pages():
    pytest.importorskip("datatrove")
    from datatrove.data import Document

    from filter.integrations.datatrove import Textsieve

    page = f"<html><body><article><p>{STORY}</p></article></body></html>"
    (part,) = Textsieve(html=True).run([Document(page, "a", metadata={"url": "https://x.org/"})])
    assert part.text.strip() == STORY.strip()
    assert part.metadata["textsieve"]["url"] == "https://x.org/"


def scrapy_pipeline(**settings):
    pytest.importorskip("scrapy")
    from scrapy.utils.test import get_crawler

    from filter.integrations.scrapy import TextsievePipeline

    return TextsievePipeline.from_crawler(get_crawler(settings_dict={"TEXTSIEVE": settings}))


def test_scrapy_item_gets_its_parts():
    pipeline = scrapy_pipeline()
    item = pipeline.process_item({"id": "b", "text": ROWS["text"][1], "html": None, "author": "Ana"})
    assert [(part["id"], part["text"]) for part in item["parts"]] == [one[::2] for one in EXPECTED[1:3]]
    assert item["author"] == "Ana"
    assert pipeline.stats.get_value("textsieve/parts") == 2


def test_scrapy_item_that_is_not_wanted():
    pytest.importorskip("scrapy")
    from scrapy.exceptions import DropItem

    pipeline = scrapy_pipeline()
    assert pipeline.process_item({"text": ""})["parts"][0]["verdict"]["keep"] is False
    assert pipeline.process_item({"title": "x"})["parts"] == []
    pipeline = scrapy_pipeline(drop=True)
    with pytest.raises(DropItem, match="the text is empty"):
        pipeline.process_item({"text": ""})
    with pytest.raises(DropItem, match="neither 'text' nor 'html'"):
        pipeline.process_item({"title": "x"})


def test_scrapy_settings_that_cannot_be_used():
    pytest.importorskip("scrapy")
    from scrapy.exceptions import NotConfigured

    from filter.errors import ConfigError

    with pytest.raises(NotConfigured, match="unknown name 'colour'"):
        scrapy_pipeline(colour="red")
    with pytest.raises(ConfigError, match="preset"):
        scrapy_pipeline(config={"preset": "wild"})


def test_scrapy_crawl(tmp_path):
    scrapy = pytest.importorskip("scrapy")
    page = tmp_path / "page.html"
    page.write_text(f"<html><body><article><p>{STORY}</p></article></body></html>")
    code = f"""
import scrapy
from scrapy.crawler import CrawlerProcess

class Pages(scrapy.Spider):
    name = "pages"
    start_urls = [{page.as_uri()!r}]

    def parse(self, response):
        yield {{"html": response.text, "url": response.url}}

process = CrawlerProcess({{
    "ITEM_PIPELINES": {{"filter.integrations.scrapy.TextsievePipeline": 300}},
    "FEEDS": {{{str(tmp_path / "out.jsonl")!r}: {{"format": "jsonlines"}}}},
    "LOG_LEVEL": "WARNING", "TELNETCONSOLE_ENABLED": False,
}})
process.crawl(Pages)
process.start()
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (item,) = [json.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert item["parts"][0]["text"].strip() == STORY.strip()
    assert "Deprecat" not in ran.stderr, ran.stderr
    assert scrapy.__version__


def examples():
    text = (ROOT / "docs" / "integrations.md").read_text(encoding="utf-8")
    for section in text.split("\n## ")[1:]:
        name = section.splitlines()[0]
        for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL), 1):
            yield pytest.param(block, id=f"{name} {number}")


@pytest.mark.parametrize("block", list(examples()))
def test_example_in_the_documentation_runs(block, tmp_path, monkeypatch):
    from pyarrow.parquet import write_table

    for module in dict.fromkeys(re.findall(r"^(?:import|from) (\w+)", block, re.MULTILINE)):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    write_table(pa.table(ROWS), "articles.parquet")
    with (tmp_path / "articles.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(
            json.dumps(dict(zip(ROWS, row, strict=True))) + "\n" for row in zip(*ROWS.values(), strict=True)
        )
    scope = {}
    exec(compile(block, "docs/integrations.md", "exec"), scope)
    if "parts.parquet" in block:
        check(pa.parquet.read_table("parts.parquet").to_pylist())
    if "spanish" in scope:
        assert scope["spanish"]["text"].to_list() == [SPANISH]
    if "kept AS" in block:
        assert scope["connection"].sql("SELECT id FROM kept ORDER BY id").fetchall() == [("a",), ("b#en",), ("b#es",)]
    if "LocalPipelineExecutor" in block:
        assert list((tmp_path / "kept").iterdir())
    for engine in ("spark", "ray"):
        if engine in scope:
            assert pa.parquet.read_table("parts").num_rows == len(EXPECTED)
            getattr(scope[engine], "stop", getattr(scope[engine], "shutdown", None))()
