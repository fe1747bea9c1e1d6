import contextlib
import json
import subprocess
import sys
import time
import urllib.request

import pytest

from filter import pipeline
from filter.command import main
from filter.errors import UsageError
from filter.readers import Item, Reader

from .test_warc import RECORDS, packed
from .toys import by_first_word

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(autouse=True)
def toy_stages(monkeypatch, tmp_path):
    monkeypatch.setattr(pipeline, "_stages", lambda: (by_first_word,))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def memory():
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield "memory://bucket"
    system.store.clear()


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory):
    """The address of an S3-compatible server on this machine."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    code = (
        "from moto.server import ThreadedMotoServer; import time;"
        "server = ThreadedMotoServer('127.0.0.1', 0, verbose=False); server.start();"
        "print(server.get_host_and_port()[1], flush=True); time.sleep(600)"
    )
    log = tmp_path_factory.mktemp("moto") / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            address = f"http://127.0.0.1:{int(process.stdout.readline())}"
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{address}/moto-api/", timeout=5).close()
                    break
                time.sleep(0.1)
            yield address
        finally:
            process.kill()


@pytest.fixture
def s3(s3_server, monkeypatch):
    import s3fs

    for name, value in (
        ("AWS_ENDPOINT_URL", s3_server),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    urllib.request.urlopen(urllib.request.Request(f"{s3_server}/moto-api/reset", method="POST"), timeout=10).close()
    s3fs.S3FileSystem().mkdir("bucket")
    yield "s3://bucket"
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(params=["memory", "s3"])
def bucket(request):
    return request.getfixturevalue(request.param)


def put(url, data):
    with fsspec.open(url, "wb") as file:
        file.write(data)


def get(url):
    with fsspec.open(url, "rb") as file:
        return file.read()


def names(url):
    system, root = fsspec.core.url_to_fs(url)
    return sorted(name.removeprefix(root).lstrip("/") for name in system.find(root))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_run_from_and_to_an_address_and_back(bucket, tmp_path, capsys):
    put(f"{bucket}/in/a.txt", b"EN One\nAD two\n")
    put(f"{bucket}/in/sub/b.jsonl", b'{"text": "ES Uno"}\n{\n')
    put(f"{bucket}/in/c.warc.gz", packed(RECORDS[:0], ".gz") + packed([RECORDS[0]], ".gz")[:900])
    put(f"{bucket}/in/.hidden.txt", b"EN Hidden\n")
    put(f"{bucket}/in/photo.jpg", b"")
    assert main(["run", f"{bucket}/in", "-o", f"{bucket}/out", "--to", "text"]) == 1
    assert names(f"{bucket}/out") == [
        "documents.jsonl",
        "dropped.jsonl",
        "rejected.jsonl",
        "summary.json",
        "text/a.en.txt",
        "text/b_1.es.txt",
    ]
    records = [json.loads(line) for line in get(f"{bucket}/out/documents.jsonl").splitlines()]
    assert [(r["source"]["path"], r["text"]) for r in records] == [
        (f"{bucket}/in/a.txt", "EN One\n"),
        (f"{bucket}/in/sub/b.jsonl", "ES Uno"),
    ]
    rejected = [json.loads(line) for line in get(f"{bucket}/out/rejected.jsonl").splitlines()]
    assert ["cut off" in r["reason"] for r in rejected] == [True, False]
    assert main(["restore", f"{bucket}/out", "-o", "back"]) == 0
    assert (tmp_path / "back" / "a.txt").read_bytes() == b"EN One\nAD two\n"
    assert main(["run", f"{bucket}/in/a.txt", "-o", f"{bucket}/out"]) == 2
    assert f"{bucket}/out/documents.jsonl: exists already" in capsys.readouterr().err
    assert main(["run", f"{bucket}/in/a.txt", "-o", f"{bucket}/out", "--to", "csv", "--force"]) == 0
    assert names(f"{bucket}/out") == ["documents.csv", "dropped.csv", "rejected.jsonl", "summary.json"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_patterns_parquet_and_shards(bucket, tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    write_table(pa.table({"text": [f"EN {n}" * 50 for n in range(100)]}), tmp_path / "a.parquet", row_group_size=10)
    put(f"{bucket}/d/a.parquet", (tmp_path / "a.parquet").read_bytes())
    put(f"{bucket}/d/b.txt", b"EN\n")
    reader = Reader(10_000)
    items = list(reader.read([f"{bucket}/d/*.parquet"]))
    assert len(items) == 100 and all(isinstance(item, Item) for item in items)
    shards = list(reader.plan([f"{bucket}/d"], 1500))
    assert len(shards) > 3
    assert [item.record for shard in shards for item in reader.read_shard(shard)][:-1] == [i.record for i in items]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_output_inside_the_input_is_left_out(bucket):
    put(f"{bucket}/a.txt", b"EN One\n")
    put(f"{bucket}/out/old.txt", b"EN Old\n")
    assert main(["run", bucket, "-o", f"{bucket}/out"]) == 0
    assert len(get(f"{bucket}/out/documents.jsonl").splitlines()) == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("name", ["no.txt", "no/folder", "no*.txt"])
def test_what_is_not_there_is_reported_and_the_rest_goes_on(bucket, name, capsys):
    put(f"{bucket}/a.txt", b"EN One\n")
    assert main(["run", f"{bucket}/{name}", f"{bucket}/a.txt", "-o", "out"]) == 1
    assert f"textsieve: {bucket}/{name}: cannot be read" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_unreachable_server_is_one_line(s3, monkeypatch, capsys, tmp_path):
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    (tmp_path / "a.txt").write_text("EN One\n")
    assert main(["run", "a.txt", f"{s3}/b.txt", "-o", "out"]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("textsieve: ")]
    assert line.startswith(f"textsieve: {s3}/b.txt: cannot be read (")
    assert main(["run", "a.txt", "-o", f"{s3}/out"]) == 2
    assert "cannot be reached" in capsys.readouterr().err


def test_failed_run_uploads_nothing(memory):
    put(f"{memory}/a.txt", b"EN One\n")
    assert main(["run", f"{memory}/no.txt", "-o", f"{memory}/out"]) == 2
    assert names(f"{memory}/out") == []


def test_failed_upload_leaves_no_summary(memory, monkeypatch, capsys):
    from fsspec.implementations.memory import MemoryFileSystem

    put(f"{memory}/a.txt", b"EN One\n")
    assert main(["run", f"{memory}/a.txt", "-o", f"{memory}/out"]) == 0

    def full(self, *arguments, **options):
        raise RuntimeError("no room")

    monkeypatch.setattr(MemoryFileSystem, "put_file", full)
    assert main(["run", f"{memory}/a.txt", "-o", f"{memory}/out", "--force"]) == 2
    assert "cannot be written to (RuntimeError: no room); without summary.json" in capsys.readouterr().err
    assert "summary.json" not in names(f"{memory}/out")


@pytest.mark.parametrize(
    ("name", "message"),
    [("nosuch://x/a.txt", "Protocol not known"), ("gs://bucket/a.txt", r"pip install 'textsieve\[gs\]'")],
)
def test_unknown_address_says_what_to_do(name, message):
    if name.startswith("gs"):
        with contextlib.suppress(ImportError):
            import gcsfs  # noqa: F401

            pytest.skip("gcsfs is installed")
    with pytest.raises(UsageError, match=message):
        list(Reader(1000).read([name]))


def test_paths_with_drive_letters_are_no_addresses():
    assert [type(one).__name__ for one in Reader(1000).read(["C:\\a.txt"])] == ["Rejection"]
