"""Write the card's text about how the folder was made: its selection, samples and shards."""

from __future__ import annotations

import re

from bioscan5m_hf.errors import counted
from conversion.folder.manifest import Manifest
from conversion.formats.samples import CAPTION


def escaped(text: str) -> str:
    """Escape text from the data, so that Markdown and HTML show it literally, on one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    # Markdown, including its tables, never interprets an entity as markup.
    return re.sub(r"[^\w\s,.'()/:;%°+-]", lambda found: f"&#{ord(found[0])};", line).replace(
        "_", "&#95;"
    )


def selected(manifest: Manifest) -> str:
    """Return a sentence for the description, if the folder is a selection."""
    return "\nThey are a selection from the release (see Selection)." if manifest.selection else ""


def selection(manifest: Manifest) -> str:
    """Write the section about the chosen specimens."""
    if not manifest.selection:
        return ""
    return (
        "## Selection\n\nThese are not all specimens of the release, but only "
        f"{escaped(manifest.selection.description)}.\nAll numbers on this page, and the numbers of "
        "labels, are those of the selection.\n"
    )


def samples(manifest: Manifest) -> str:
    """Write the paragraph about the additional members of samples."""
    lines = [
        f"\nSamples of `{name}` also have {extras.description}."
        for name, extras in manifest.samples.items()
    ]
    if any(extras.captions for extras in manifest.samples.values()):
        lines.append(f"A caption is `{CAPTION}`, without the names that are not known.")
    return "\n".join([*lines, ""]) if lines else ""


def shards(manifest: Manifest) -> str:
    """Write the paragraph about how many workers can share a split by whole shards."""
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
