"""The card of a dataset folder: the README.md that ``datasets`` and the Hub read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import yaml

from bioscan5m_hf.schema import COLUMNS, SPLITS
from bioscan5m_hf.variants import (
    DEFAULT_PACKAGE,
    METADATA,
    PACKAGES,
    Configuration,
    configurations,
)
from conversion.findings import REJECTS_NAME
from conversion.manifest import Manifest, SplitFiles
from conversion.writers import metadata_writer, writer_named

CARD_NAME: Final = "README.md"

_SIZES: Final = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)

_CITATION: Final = """\
@inproceedings{gharaee2024bioscan5m,
  title     = {{BIOSCAN-5M}: A Multimodal Dataset for Insect Biodiversity},
  author    = {Gharaee, Zahra and others},
  booktitle = {Advances in Neural Information Processing Systems (NeurIPS),
               Datasets and Benchmarks Track},
  year      = {2024},
  note      = {arXiv:2406.12723}
}"""


class _PlainDumper(yaml.SafeDumper):
    """Writes out what occurs twice, since not every reader of cards follows references."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def available(manifest: Manifest) -> list[tuple[Configuration, dict[str, SplitFiles]]]:
    """The configurations that a folder can serve, with the files of each split.

    Args:
        manifest: What the folder holds.

    Returns:
        Each configuration that has at least one specimen, and its published splits in order.
    """
    found: list[tuple[Configuration, dict[str, SplitFiles]]] = []
    for configuration in configurations(manifest.packages):
        if configuration.package is None and not serves_metadata(manifest):
            continue
        held = manifest.splits.get(configuration.package or METADATA, {})
        splits = {
            split.published: held[split.published]
            for split in configuration.splits
            if split.published in held and held[split.published].rows
        }
        if splits:
            found.append((configuration, splits))
    return found


def serves_metadata(manifest: Manifest) -> bool:
    """Whether the metadata can be a configuration.

    ``datasets`` reads all configurations of a folder with one module, so Parquet files beside tar
    shards are files like any other; but a folder without images has nothing else to serve.
    """
    return metadata_writer(manifest.format) is writer_named(manifest.format)


def front_matter(manifest: Manifest) -> dict[str, Any]:
    """The YAML block of the card, from which ``datasets`` learns the configurations.

    Sizes of splits are never declared: ``datasets`` takes a filtered split for a damaged one if
    they are.

    Args:
        manifest: What the folder holds.
    """
    listed = available(manifest)
    default = _default(manifest)
    counts = (sum(files.rows for files in splits.values()) for _, splits in listed)
    specimens = max(counts, default=0)
    return {
        "pretty_name": "BIOSCAN-5M",
        "license": "cc-by-3.0",
        "task_categories": ["image-classification", "zero-shot-image-classification"],
        "tags": ["biology", "biodiversity", "insects", "taxonomy", "dna-barcode", "image"],
        "size_categories": [next((name for top, name in _SIZES if specimens < top), "10M<n<100M")],
        "configs": [
            {
                "config_name": configuration.name,
                **({"default": True} if configuration.name == default else {}),
                "data_files": [
                    {"split": split, "path": _pattern(files)} for split, files in splits.items()
                ],
            }
            for configuration, splits in listed
        ],
        **_declared_features(manifest),
    }


def _declared_features(manifest: Manifest) -> dict[str, Any]:
    """The features, where the files do not carry them.

    The types of JSON are guessed from the first five samples otherwise, and a column that is null
    in all of them cannot hold text later (huggingface/datasets#7549).
    """
    if manifest.format != "webdataset":
        return {}
    columns = [{"name": column.name, "dtype": column.kind.value} for column in COLUMNS]
    features = [
        {"name": "jpg", "dtype": "image"},
        {"name": "json", "struct": columns},
        {"name": "__key__", "dtype": "string"},
        {"name": "__url__", "dtype": "string"},
    ]
    return {
        "dataset_info": [
            {"config_name": configuration.name, "features": features}
            for configuration, _ in available(manifest)
        ]
    }


def _default(manifest: Manifest) -> str:
    packages = manifest.packages
    if DEFAULT_PACKAGE in packages:
        return DEFAULT_PACKAGE
    return packages[-1] if packages else METADATA


def _pattern(files: SplitFiles) -> str:
    """The shards of one division only: another that was interrupted may lie beside it."""
    stem, _, rest = files.shards[0].path.rpartition("-00000-of-")
    return f"{stem}-*-of-{rest}"


def render(manifest: Manifest) -> str:
    """Write the card.

    Args:
        manifest: What the folder holds.

    Returns:
        The text of README.md; the same manifest gives the same text.
    """
    header = yaml.dump(
        front_matter(manifest),
        Dumper=_PlainDumper,
        sort_keys=False,
        allow_unicode=True,
        width=10_000,
    )
    parts = [
        f"---\n{header}---\n\n# BIOSCAN-5M\n",
        _introduction(manifest),
        _loading(manifest),
        _configurations(manifest),
        _splits(manifest),
        _columns(),
        _left_out(manifest),
        _rights(),
    ]
    return "\n".join(part for part in parts if part)


def _introduction(manifest: Manifest) -> str:
    metadata = manifest.splits.get(METADATA, {})
    specimens = sum(files.rows for files in metadata.values())
    return (
        f"{specimens:,} insects and their kin, each with photograph, DNA barcode, Barcode Index\n"
        "Number, taxonomy, place of collection and size: the BIOSCAN-5M release, as\n"
        f"{_FORMAT_NAMES[manifest.format]} shards that load and stream. Image bytes are\n"
        "upstream's own, untouched. Rows stand in the order of md5(processid), which is a fixed\n"
        "random order.\n"
    )


_FORMAT_NAMES: Final = {"parquet": "Parquet", "arrow": "Arrow", "webdataset": "WebDataset"}


def _loading(manifest: Manifest) -> str:
    name = _default(manifest)
    splits = next((splits for found, splits in available(manifest) if found.name == name), None)
    if not splits:
        return ""
    split = "train" if "train" in splits else next(iter(splits))
    call = f'load_dataset("bioscan-5m", "{name}", split="{split}"'
    lines = [f"ds = {call})", f"ds = {call}, streaming=True)"]
    if manifest.format == "parquet":
        lines.append(f'ds = {call}, filters=[("order", "==", "Diptera")])')
    example = "\n".join(["from datasets import load_dataset", "", *lines])
    text = (
        f"## Loading\n\n```python\n{example}\n```\n\n"
        "Put this repository's name, or the path of this folder, in the place of `bioscan-5m`.\n"
    )
    if not serves_metadata(manifest):
        text += (
            "\nA sample is the image `jpg` and the record `json`, which has the columns below.\n"
            "The metadata of all specimens, without images, lie beside the shards as Parquet:\n"
            f"`{METADATA}/*.parquet`, for pandas, DuckDB or Polars. How many samples a shard has\n"
            "stands in `sizes.json` in the folder of each configuration.\n"
        )
    return text


def _configurations(manifest: Manifest) -> str:
    meaning = {package.name: package.meaning for package in PACKAGES}
    rows = [
        (
            f"`{configuration.name}`",
            meaning.get(configuration.package or "", "no images, all splits"),
            ", ".join(splits),
            f"{sum(files.rows for files in splits.values()):,}",
            _size(sum(shard.bytes for files in splits.values() for shard in files.shards)),
        )
        for configuration, splits in available(manifest)
    ]
    head = ("configuration", "images", "splits", "specimens", "size")
    return "## Configurations\n\n" + _table(head, rows, right=2)


def _splits(manifest: Manifest) -> str:
    meaning = {split.published: split.meaning for split in SPLITS}
    names = [*manifest.packages, METADATA]
    rows = []
    for split in SPLITS:
        found = [manifest.splits.get(name, {}).get(split.published) for name in names]
        if any(found):
            counts = [f"{files.rows:,}" if files else "-" for files in found]
            rows.append((f"`{split.published}`", meaning[split.published], *counts))
    head = ("split", "what it is for", *(f"`{name}`" for name in names))
    note = "\nUpstream's `val` is published as `validation`; the column `split` keeps `val`.\n"
    return "## Splits\n\n" + _table(head, rows, right=len(names)) + note


def _columns() -> str:
    rows = [("`image`", "image", "the photograph")]
    rows += [(f"`{c.name}`", c.kind.value, c.meaning) for c in COLUMNS]
    note = "\nAn empty value of upstream is null; `NA`, `None` and `nan` are text there and here.\n"
    return "## Columns\n\n" + _table(("column", "type", "meaning"), rows) + note


def _left_out(manifest: Manifest) -> str:
    if not manifest.rejects:
        return ""
    rows = [(reason, f"{count:,}") for reason, count in sorted(manifest.rejects.items())]
    head = f"## Left out\n\nRecorded one by one in `{REJECTS_NAME}`.\n\n"
    return head + _table(("reason", "count"), rows, right=1)


def _rights() -> str:
    return f"""\
## Licence and citation

Images and metadata: Creative Commons Attribution 3.0 (CC BY 3.0). Copyright holder: CBG
Photography Group, Centre for Biodiversity Genomics, 2021.

```bibtex
{_CITATION}
```
"""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: int = 0) -> str:
    """A Markdown table whose last columns are numbers."""
    left = len(head) - right
    lines = [head, ["---"] * left + ["---:"] * right, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _size(count: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:,.1f} {unit}"
    return f"{count} bytes"
