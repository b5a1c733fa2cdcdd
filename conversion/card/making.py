"""Write what the card says of how the folder was made: its selection, samples and shards."""

from __future__ import annotations

import re

from bioscan5m_hf.errors import counted
from conversion.folder.manifest import Manifest
from conversion.formats.samples import CAPTION


def escaped(text: str) -> str:
    """Text from the data, as Markdown and HTML show it, letter by letter and on one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    # An entity is what neither Markdown nor the cells of its tables take for a sign of theirs.
    return re.sub(r"[^\w\s,.'()/:;%°+-]", lambda found: f"&#{ord(found[0])};", line).replace(
        "_", "&#95;"
    )


def selected(manifest: Manifest) -> str:
    """A sentence of the description, where the folder is a selection."""
    return "\nThey are a selection from the release (see Selection)." if manifest.selection else ""


def selection(manifest: Manifest) -> str:
    """The section that says which specimens were chosen."""
    if not manifest.selection:
        return ""
    return (
        "## Selection\n\nThese are not all specimens of the release, but "
        f"{escaped(manifest.selection.told)}.\nAll numbers on this page, and the numbers of "
        "labels, are those of the selection.\n"
    )


def samples(manifest: Manifest) -> str:
    """What samples have beside image and record."""
    lines = [
        f"\nSamples of `{name}` also have {extras.told}."
        for name, extras in manifest.samples.items()
    ]
    if any(extras.captions for extras in manifest.samples.values()):
        lines.append(f"A caption is `{CAPTION}`, as far as it is known.")
    return "\n".join([*lines, ""]) if lines else ""


def shards(manifest: Manifest) -> str:
    """How many processes can share a split, where readers hand out whole shards."""
    counts = [
        len(files.shards) for name in manifest.packages for files in manifest.splits[name].values()
    ]
    if not counts:
        return ""
    least = min(counts)
    held = f"at least {counted(least, 'shard')}"
    return (
        f"\nEach split has {held}. Readers that hand out whole shards, as `webdataset` does, take\n"
        "at most as many workers for a split as it has shards.\n"
    )
