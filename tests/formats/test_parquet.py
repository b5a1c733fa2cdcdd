"""The footers of Parquet shards, as the Hub's viewer and ``datasets`` look for them."""

import json
from pathlib import Path

import pyarrow.parquet as pq
from datasets import config

from conversion.folder.manifest import read_manifest


def test_footers_tell_how_pages_were_chunked(converted: Path) -> None:
    for shard in read_manifest(converted).files():
        footer = pq.read_metadata(converted / shard.path).metadata
        for key in (b"content_defined_chunking", b"use_content_defined_chunking"):
            assert json.loads(footer[key]) == config.DEFAULT_CDC_OPTIONS
        assert b"huggingface" in footer
