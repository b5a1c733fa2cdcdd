"""Write the card of a dataset folder: the README.md that ``datasets`` and the Hub read."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from bioscan5m_hf.readers.formats import format_named
from bioscan5m_hf.schema.columns import COLUMNS, SPLITS
from bioscan5m_hf.schema.configurations import METADATA, Configuration, described
from bioscan5m_hf.schema.source_rows import SOURCE_ROWS_NAME
from bioscan5m_hf.schema.upstream import (
    CITATION,
    HOLDER,
    HOMEPAGE,
    LICENCE_NAME,
    LICENCE_URL,
    NAME,
    PAPER,
    REPOSITORY,
)
from bioscan5m_hf.schema.vocabularies import VOCABULARIES_NAME
from bioscan5m_hf.sources.manifest import MANIFEST_NAME
from bioscan5m_hf.sources.split_table import SPLIT_TABLE_NAME
from conversion.card.front_matter import (
    available,
    default_configuration,
    files_url,
    front_matter_text,
    shown_split,
)
from conversion.card.making import escaped, samples, selected, selection, shards
from conversion.card.statements import (
    COLLECTION,
    LABELS,
    MISSING,
    PERSONAL_DATA,
    PREPROCESSING,
    biases,
    limitations,
)
from conversion.card.statistics import Profile
from conversion.folder.manifest import Manifest
from conversion.formats.registry import writer_named
from conversion.rejects import REJECTS_NAME

CARD_NAME: Final = "README.md"

SHEET: Final = "assets/specimens.jpg"
TAXONOMY: Final = "assets/taxonomy.png"
MEASURES: Final = "assets/measures.png"
SITES: Final = "assets/sites.png"
PICTURES: Final = (SHEET, TAXONOMY, MEASURES, SITES)

_LINKS: Final = f"""\
[Paper]({PAPER}) ·
[upstream's dataset](https://huggingface.co/datasets/{REPOSITORY}) ·
[upstream's code](https://github.com/{REPOSITORY}) ·
[homepage]({HOMEPAGE}) ·
converted with bioscan5m-hf
"""


def render(manifest: Manifest, found: Profile | None = None) -> str:
    """Write the card.

    Returns:
        The text of README.md; the same folder gives the same text.
    """
    parts = [
        f"{front_matter_text(manifest)}\n# {NAME}\n",
        f"{description(manifest)}\n",
        _LINKS,
        _picture(manifest, SHEET, "Specimens of the most frequent orders, side by side"),
        _loading(manifest),
        _configurations(manifest),
        selection(manifest),
        _derived(manifest),
        _splits(manifest),
        _columns(manifest),
        _specimens(manifest, found) if found else "",
        _source(),
        _limitations(manifest, found),
        _left_out(manifest),
        _files(manifest),
        _rights(),
    ]
    return "\n".join(part for part in parts if part)


def description(manifest: Manifest) -> str:
    """Describe the dataset in a few sentences of plain text."""
    rows = {split: files.rows for split, files in manifest.splits.get(METADATA, {}).items()}
    specimens = sum(rows.values())
    photographed = sum(_photographed(manifest, split) for split in rows)
    kinds = "DNA barcode, Barcode Index Number, taxonomy, place of collection and\nsize"
    if not photographed:
        held = f"{specimens:,} insects and their kin with {kinds}"
    elif photographed >= specimens:
        held = f"{specimens:,} insects and their kin, each with a photograph, and with\n{kinds}"
    else:
        held = (
            f"{specimens:,} insects and their kin, {photographed:,} of them with a photograph,\n"
            f"and with {kinds}"
        )
    bytes_kept = (
        f" Image bytes are upstream's\nown, untouched{_exception(manifest)}."
        if manifest.packages
        else ""
    )
    return (
        f"{held}, as far as they are known: the BIOSCAN-5M release, as\n"
        f"{format_named(manifest.format).title} shards that load and stream.{bytes_kept}\n"
        "Rows stand in the order of md5(processid), which is a fixed random order."
        f"{selected(manifest)}"
    )


def _photographed(manifest: Manifest, split: str) -> int:
    """How many specimens of a published split have an image in some package."""
    held = (manifest.splits[package].get(split) for package in manifest.packages)
    return max((files.rows for files in held if files), default=0)


def _picture(manifest: Manifest, path: str, meaning: str) -> str:
    return f"![{meaning}]({path})\n" if path in manifest.extras else ""


def _exception(manifest: Manifest) -> str:
    names = ", ".join(f"`{name}`" for name in manifest.packages if name in manifest.derived)
    return f", except in\n{names} (see Derived images)" if names else ""


def _derived(manifest: Manifest) -> str:
    rows = []
    for name in manifest.packages:
        if record := manifest.derived.get(name):
            libraries = [f"{key} {' and '.join(found)}" for key, found in record.libraries.items()]
            rows.append((f"`{name}`", record.recipe.description, ", ".join(libraries)))
    if not rows:
        return ""
    text = (
        "## Derived images\n\nThese images are not upstream's own files: they were made from "
        "another package of upstream's.\n\n"
    )
    return text + _table(("configuration", "how", "with"), rows)


def _loading(manifest: Manifest) -> str:
    shown = shown_split(manifest)
    if shown is None:
        return ""
    name, split = shown
    call = f'load_dataset("{manifest.name}", "{name}", split="{split}"'
    writer = writer_named(manifest.format)
    record = writer.record_code
    lines = [
        "from datasets import load_dataset",
        "",
        "# the whole split on disk, any row at once",
        f"ds = {call})",
        "# downloads only the rows that you look at",
        f"rows = {call}, streaming=True)",
    ]
    if writer.filters:
        lines += [
            "# only the rows that match",
            f'flies = {call}, filters=[("order", "==", "Diptera")])',
        ]
    if VOCABULARIES_NAME in manifest.extras:
        lines = [
            "import pandas as pd",
            *lines,
            "# the same integer labels in every split; -1 where there is no label",
            f'words = pd.read_parquet("{files_url(manifest)}/{VOCABULARIES_NAME}")',
            'families = words[words["rank"] == "family"]',
            'label_of = dict(zip(families["value"], families["label"]))',
            f'rows = rows.map(lambda row: {{"label": label_of.get({record}["family"], -1)}})',
        ]
    example = "\n".join(lines)
    text = f"## Loading\n\n```python\n{example}\n```\n"
    if "/" not in manifest.name:
        text += f"\n`{manifest.name}` is the path of this folder, or its repository's name.\n"
    suffix = writer.form.suffix
    text += (
        f"\nGive readers of plain files the files of one split, `{name}/{split}-*{suffix}`\n"
        "(DuckDB, Polars, Daft, Dask; as a list where a reader knows no patterns: pyarrow, Ray,\n"
        f"pandas), or the folder of one configuration, `{name}` (LitData, pyarrow, Ray, Dask):\n"
        "the whole folder would mix images, metadata and vocabularies.\n"
    )
    if writer.note:
        text += f"\n{writer.note}{samples(manifest)}"
    return text


def _configurations(manifest: Manifest) -> str:
    listed = [
        (configuration, splits)
        for configuration, splits in available(manifest)
        if configuration.name in (*manifest.packages, METADATA)
    ]
    rows = [
        (
            f"`{configuration.name}`",
            _meaning(configuration, manifest),
            _size(sum(shard.bytes for files in splits.values() for shard in files.shards)),
        )
        for configuration, splits in listed
    ]
    text = "## Configurations\n\n" + _table(("name", "images", "size"), rows, right=1)
    parts = [c for c, _ in available(manifest) if c.name not in (*manifest.packages, METADATA)]
    if parts:
        name = default_configuration(manifest)
        ends = [f"`{c.name.removeprefix(name)}`" for c in parts if c.package == name]
        text += (
            f"\nWith {', '.join(ends)} behind the name of a package, as in `{parts[-1].name}`,\n"
            "a configuration has only the splits of one group of upstream's archives.\n"
        )
    return text


def _meaning(configuration: Configuration, manifest: Manifest) -> str:
    if configuration.package is None:
        return "no images"
    meaning = described(configuration.package).meaning
    return f"{meaning} (derived)" if configuration.package in manifest.derived else meaning


def _splits(manifest: Manifest) -> str:
    total = manifest.splits.get(METADATA, {})
    # Packages that do not have all specimens get a column each.
    names = [METADATA] if total else []
    names += [name for name in manifest.packages if _counts(manifest, name) != _counts(manifest)]
    rows = []
    for split in SPLITS:
        found = [manifest.splits.get(name, {}).get(split.published) for name in names]
        if any(found):
            counts = [f"{files.rows:,}" if files else "-" for files in found]
            rows.append((f"`{split.published}`", split.meaning, *counts))
    heads = ["specimens" if name == METADATA else f"`{name}`" for name in names]
    note = "\nUpstream's `val` is published as `validation`; the column `split` keeps `val`.\n"
    table = _table(("split", "what it is for", *heads), rows, right=len(names))
    return "## Splits\n\n" + table + note + shards(manifest)


def _counts(manifest: Manifest, configuration: str = METADATA) -> dict[str, int]:
    return {name: files.rows for name, files in manifest.splits.get(configuration, {}).items()}


def _columns(manifest: Manifest) -> str:
    image = writer_named(manifest.format).image_column
    rows = [(f"`{image}`", "image", "the photograph")] if manifest.packages else []
    rows += [(f"`{c.name}`", c.kind.value, c.meaning) for c in COLUMNS]
    note = "\nAn empty value of upstream is null here; `NA`, `None` and `nan` stay text.\n"
    return "## Columns\n\n" + _table(("column", "type", "meaning"), rows) + note


def _specimens(manifest: Manifest, found: Profile) -> str:
    """Write the section about the specimens: pictures, and their numbers as accessible tables."""
    barcodes, with_barcode = found.barcodes
    countries = [(escaped(name), f"{count:,}") for name, count in found.countries]
    others, rest = found.other_countries
    if others:
        countries.append((f"{others:,} others", f"{rest:,}"))
    ranks = [(rank.rank, f"{rank.taxa:,}", f"{rank.labelled:,}") for rank in found.ranks]
    parts = [
        "## Specimens\n",
        _picture(manifest, TAXONOMY, "Specimens of each order, labelled specimens at each rank"),
        _table(("rank", "taxa", "labelled specimens"), ranks, right=2),
        _picture(manifest, MEASURES, "Histograms of barcode length and of organism size"),
        f"{with_barcode:,} specimens have a barcode; {barcodes:,} barcodes are different.\n",
        _picture(manifest, SITES, "Map of the places of collection"),
        _table(("country", "specimens"), countries, right=1) if countries else "",
    ]
    return "\n".join(part for part in parts if part)


def _source() -> str:
    text = textwrap.fill(f"{COLLECTION} {PREPROCESSING} {LABELS} {MISSING}", 100)
    return f"## Source and labels\n\n{text}\n\n**Personal data.** {PERSONAL_DATA}\n"


def _limitations(manifest: Manifest, found: Profile | None) -> str:
    """Write the section about biases that a model may learn from these specimens."""
    facts = [*map(escaped, biases(manifest, found)), *limitations(found)]
    return "## Limitations and biases\n\n" + "".join(f"- {fact}\n" for fact in facts)


def _left_out(manifest: Manifest) -> str:
    if not manifest.rejects:
        return ""
    rows = [(escaped(reason), f"{count:,}") for reason, count in sorted(manifest.rejects.items())]
    head = (
        f"## Left out\n\n`{REJECTS_NAME}` records each specimen and image that was left out: its "
        "package, archive and\nmember, the reason, and what was found.\n\n"
    )
    return head + _table(("reason", "count"), rows, right=1)


def _files(manifest: Manifest) -> str:
    known = {
        "quickstart.ipynb": "a notebook that streams, shows, filters and labels specimens",
        "croissant.json": "the dataset in the vocabulary of Croissant",
        "labels": "the labels of each rank as text; the number of a line, from 0, is the label",
        SOURCE_ROWS_NAME: "which record of upstream's metadata file each specimen was, for NumPy",
        SPLIT_TABLE_NAME: "in which split each specimen is, so that `get` finds a single one",
        VOCABULARIES_NAME: "every label of each rank with its number, and how often a split has it",
    }
    there = {part for path in manifest.extras for part in (path, path.partition("/")[0])}
    rows = [(f"[`{name}`]({name})", known[name]) for name in known if name in there]
    rows.append((f"[`{MANIFEST_NAME}`]({MANIFEST_NAME})", "the digest of every file"))
    return "## Other files\n\n" + _table(("file", "what it is"), rows)


def _rights() -> str:
    return f"""\
## Licence and citation

Images and metadata are licensed under
[{LICENCE_NAME}]({LICENCE_URL}) (CC BY 3.0).
Copyright holder: {HOLDER}, 2021.
If you use or share them, name the copyright holder and the licence, and say what you
changed. Here only the packaging was changed: the bytes of the images and the values of the
metadata are upstream's.

```bibtex
{CITATION}
```
"""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: int = 0) -> str:
    """Make a Markdown table, whose last ``right`` columns are numbers."""
    left = len(head) - right
    lines = [head, ["---"] * left + ["---:"] * right, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _size(count: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            # The unit must stay on the line of its number in a narrow column.
            return f"{count / factor:,.1f}\N{NO-BREAK SPACE}{unit}"
    return f"{count} bytes"
