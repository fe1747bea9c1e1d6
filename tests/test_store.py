import json

import numpy as np
import pytest

from filter.errors import ModelError
from filter.store import load_model, models_dir, save_model

ARRAYS = {"weights": np.arange(6, dtype=np.int8).reshape(2, 3), "bias": np.array(0.5, dtype=np.float32)}


@pytest.fixture
def folder(tmp_path):
    save_model("toy", ARRAYS, {"names": ["a", "ß"]}, facts={"data_sha256": "0"}, folder=tmp_path)
    return tmp_path


def test_a_model_comes_back_as_it_was(folder):
    arrays, header = load_model("toy", folder)
    assert header == {"names": ["a", "ß"]}
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_equal_models_are_equal_files(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    save_model("toy", dict(reversed(ARRAYS.items())), {"names": ["a", "ß"]}, facts={"data_sha256": "0"}, folder=other)
    for name in ("toy.npz", "manifest.json"):
        assert (other / name).read_bytes() == (folder / name).read_bytes()


def test_the_manifest_keeps_other_models_and_the_facts(folder):
    save_model("second", ARRAYS, {}, facts={"scores": {"f1": 0.5}}, folder=folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["toy"]["data_sha256"] == "0"
    assert manifest["second"]["scores"] == {"f1": 0.5}
    assert manifest["second"]["bytes"] == (folder / "second.npz").stat().st_size


def test_saving_anew_is_seen_at_once(folder):
    load_model("toy", folder)
    save_model("toy", ARRAYS, {"names": []}, facts={}, folder=folder)
    assert load_model("toy", folder).header == {"names": []}


def test_an_altered_file_is_refused(folder):
    path = folder / "toy.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelError, match="SHA-256 differs"):
        load_model("toy", folder)


def test_an_unlisted_model_is_named(folder):
    with pytest.raises(ModelError, match="textsieve train other"):
        load_model("other", folder)


def test_a_missing_file_is_named(folder):
    (folder / "toy.npz").unlink()
    with pytest.raises(ModelError, match=r"toy\.npz"):
        load_model("toy", folder)


def test_objects_are_never_stored(tmp_path):
    with pytest.raises(ValueError, match="Object arrays"):
        save_model("toy", {"x": np.array([print], dtype=object)}, {}, facts={}, folder=tmp_path)
    assert not (tmp_path / "manifest.json").exists()


def test_shipped_models_are_whole():
    manifest = json.loads((models_dir() / "manifest.json").read_text(encoding="utf-8"))
    assert "lines" in manifest
    for name in manifest:
        assert load_model(name).arrays
    assert sum(entry["bytes"] for entry in manifest.values()) <= 25_000_000


def test_models_of_ones_own_are_used_where_the_environment_names_them(folder, monkeypatch):
    monkeypatch.setenv("TEXTSIEVE_MODELS", str(folder))
    load_model.cache_clear()
    assert load_model("toy").header == {"names": ["a", "ß"]}
    load_model.cache_clear()
    monkeypatch.setenv("TEXTSIEVE_MODELS", str(folder / "empty"))
    with pytest.raises(ModelError, match=r"empty: no manifest\.json; TEXTSIEVE_MODELS names"):
        models_dir()
