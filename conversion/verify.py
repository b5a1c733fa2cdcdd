"""Prove a dataset folder against its manifest."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from bioscan5m_hf.schema import IMAGE_COLUMN, arrow_schema
from bioscan5m_hf.variants import METADATA
from conversion import card
from conversion.files import Written, digest_of
from conversion.manifest import MANIFEST_NAME, Manifest, ShardFile, read_manifest
from conversion.writers import FORMATS


def verify(folder: Path, *, threads: int) -> tuple[Manifest, list[str]]:
    """Compare every file of a dataset folder with the manifest.

    Args:
        folder: The folder.
        threads: How many files are read at a time.

    Returns:
        The manifest, and everything that differs from it, each as one line.

    Raises:
        ForeignFolder: There is no manifest, or it cannot be read.
    """
    manifest = read_manifest(folder)
    findings: list[str] = []
    if manifest.to_json() != (folder / MANIFEST_NAME).read_bytes():
        findings.append(f"{MANIFEST_NAME}: was changed")
    files = [*manifest.files(), *manifest.extras.values()]
    with ThreadPoolExecutor(threads) as pool:
        for found in pool.map(lambda file: _check_file(folder, file), files):
            findings += found
    findings += _check_names(folder, manifest)
    findings += _check_card(folder, manifest)
    return manifest, findings


def _check_file(folder: Path, file: ShardFile) -> list[str]:
    path = folder / file.path
    try:
        found = digest_of(path)
    except FileNotFoundError:
        return [f"{file.path}: is missing"]
    except OSError as error:
        return [f"{file.path}: cannot be read ({error.strerror})"]
    if found.bytes != file.bytes:
        return [f"{file.path}: has {found.bytes:,} bytes instead of {file.bytes:,}"]
    if found != Written(file.bytes, file.sha256):
        return [f"{file.path}: its bytes were changed (SHA-256 {found.sha256})"]
    return list(_check_content(path, file)) if file.path.endswith(".parquet") else []


def _check_content(path: Path, file: ShardFile) -> Iterator[str]:
    try:
        with pq.ParquetFile(path) as shard:
            rows, schema = shard.metadata.num_rows, shard.schema_arrow
    except (pa.ArrowException, OSError) as error:
        yield f"{file.path}: is not a Parquet file ({error})"
        return
    if rows != file.rows:
        yield f"{file.path}: has {rows:,} rows instead of {file.rows:,}"
    if "/" in file.path:
        expected = arrow_schema(image=IMAGE_COLUMN in schema.names)
        has_image = not file.path.startswith(f"{METADATA}/")
        if has_image != (IMAGE_COLUMN in schema.names) or not schema.equals(expected):
            yield f"{file.path}: its columns are not those of this program's schema"


def _check_names(folder: Path, manifest: Manifest) -> Iterator[str]:
    suffixes = {writer.suffix for writer in FORMATS.values()}
    listed = {file.path for file in manifest.files()}
    for path in sorted(path for path in folder.glob("*/*") if path.suffix in suffixes):
        name = path.relative_to(folder).as_posix()
        if name not in listed:
            yield f"{name}: is not in the manifest"
    for configuration, splits in manifest.splits.items():
        for split, files in splits.items():
            if sum(shard.rows for shard in files.shards) != files.rows:
                yield f"{MANIFEST_NAME}: the shards of {configuration}/{split} do not add up"


def _check_card(folder: Path, manifest: Manifest) -> Iterator[str]:
    try:
        text = (folder / card.CARD_NAME).read_text("utf-8")
        header = yaml.safe_load(text.split("---\n", 2)[1])
    except (OSError, UnicodeDecodeError, IndexError, yaml.YAMLError):
        yield f"{card.CARD_NAME}: has no front matter that could be read"
        return
    if (
        not isinstance(header, dict)
        or header.get("configs") != card.front_matter(manifest)["configs"]
    ):
        yield f"{card.CARD_NAME}: its configurations are not those of the files"
