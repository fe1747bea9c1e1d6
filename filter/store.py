"""Finds, checks and loads what is in models/.

A model is an `.npz` of plain arrays with a JSON header; loading one runs no code from the file (`allow_pickle` stays
off). `manifest.json` lists each file with its SHA-256, the digest of the data it learned from, the versions it was made
with and its scores.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .errors import ModelError

__all__ = ["Model", "load_model", "models_dir", "save_model"]

_HEADER = "header"
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Model(NamedTuple):
    """What a model file holds: named arrays, and a header of plain JSON values."""

    arrays: dict[str, npt.NDArray[Any]]
    header: dict[str, Any]


def models_dir() -> Path:
    """Return the folder that holds `manifest.json`.

    That is the one named in the environment variable TEXTSIEVE_MODELS, else the one beside the code when installed,
    else `models/` of the checkout.

    Raises:
        ModelError: there is none, or none where the variable says.
    """
    if named := os.environ.get("TEXTSIEVE_MODELS"):
        if (Path(named) / "manifest.json").is_file():
            return Path(named)
        raise ModelError(f"{named}: no manifest.json; TEXTSIEVE_MODELS names a folder that textsieve train wrote")
    here = Path(__file__).resolve().parent
    for folder in (here / "_models", here.parent / "models"):
        if (folder / "manifest.json").is_file():
            return folder
    raise ModelError(f"{here / '_models'}: no manifest.json; install the package again, or run textsieve train")


@lru_cache(maxsize=8)
def load_model(name: str, folder: Path | None = None) -> Model:
    """Return a model by its name in the manifest, after checking its SHA-256; loaded once per process.

    Raises:
        ModelError: the manifest does not list it, or the file is missing, altered or not readable as plain arrays.
    """
    folder = folder or models_dir()
    entry = _manifest(folder).get(name)
    if entry is None:
        raise ModelError(f"{folder / 'manifest.json'}: lists no model {name!r}; run textsieve train {name}")
    path = folder / entry["file"]  # beside the manifest: `_manifest` has seen to it
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); install the package again") from error
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise ModelError(
            f"{path}: SHA-256 differs from the manifest's; the file was altered: install the package again"
        )
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        header = json.loads(arrays.pop(_HEADER).tobytes().decode("utf-8"))
        if not isinstance(header, dict):
            raise ValueError("its header is no JSON object")
    except Exception as error:  # NumPy and zipfile raise many kinds for bytes that are no model, and all say just that
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"{path}: not a model file ({reason}); run textsieve train {name}") from error
    return Model(arrays, header)


def save_model(
    name: str,
    arrays: Mapping[str, npt.NDArray[Any]],
    header: Mapping[str, Any],
    *,
    facts: Mapping[str, Any],
    folder: Path,
) -> Path:
    """Write `<name>.npz` and its entry in the manifest; the same arrays give the same bytes.

    Args:
        name: what `load_model` asks for.
        arrays: plain arrays, no objects.
        header: what the code needs besides them; JSON values.
        facts: what people need to know: data digest, versions, scores; goes into the manifest only.
        folder: where `manifest.json` stands or will stand.
    """
    folder.mkdir(parents=True, exist_ok=True)
    header_bytes = json.dumps(header, sort_keys=True, ensure_ascii=False).encode("utf-8")
    contents = {**arrays, _HEADER: np.frombuffer(header_bytes, dtype=np.uint8)}
    buffer = io.BytesIO()
    # np.savez stamps the time of day into the archive; written by hand, equal models are equal files.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for key in sorted(contents):
            member = io.BytesIO()
            array = np.ascontiguousarray(contents[key])
            np.lib.format.write_array(member, array, allow_pickle=False)  # type: ignore[no-untyped-call,unused-ignore]
            info = zipfile.ZipInfo(f"{key}.npy", date_time=_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, member.getvalue())
    path = folder / f"{name}.npz"
    path.write_bytes(buffer.getvalue())
    manifest = _manifest(folder)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    manifest[name] = {"file": path.name, "sha256": digest, "bytes": path.stat().st_size, **facts}
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")
    load_model.cache_clear()
    return path


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    try:
        manifest: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); install the package again") from error
    for entry in manifest.values() if isinstance(manifest, dict) else [None]:
        file, digest = (entry.get("file"), entry.get("sha256")) if isinstance(entry, dict) else (None, None)
        # A manifest speaks of files beside it, and of no others.
        is_name = isinstance(file, str) and file == Path(file).name and file.isprintable()
        if not is_name or not isinstance(digest, str):
            raise ModelError(f"{path}: an entry without a file beside it and its sha256; install the package again")
    return dict(manifest)
