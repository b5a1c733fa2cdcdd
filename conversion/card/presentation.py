"""Write card, pictures, notebook and Croissant of a dataset folder, and its manifest last.

They are made only from the shards and the manifest, so they can be made again at any time, and the
same folder gives the same bytes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bioscan5m_hf.errors import VerificationFailed
from bioscan5m_hf.schema.configurations import METADATA
from bioscan5m_hf.sources.manifest import MANIFEST_NAME
from bioscan5m_hf.storage.inside import read_small, remove, to_write
from conversion.card import readme
from conversion.card.croissant import CROISSANT_NAME, render_croissant
from conversion.card.figures.charts import measures, taxonomy
from conversion.card.figures.sites import sites
from conversion.card.figures.specimens import Pick, contact_sheet, pick_specimens
from conversion.card.front_matter import shown_split
from conversion.card.notebook import NOTEBOOK_NAME, render_notebook
from conversion.card.statistics import Profile, profile, stored_metadata
from conversion.files.atomic import write_whole
from conversion.folder.manifest import Manifest, read_manifest
from conversion.folder.small_files import SmallFiles
from conversion.folder.state import open_state
from conversion.shards.read import BrokenShard

# The contact sheet is a JPEG of some hundred kilobytes.
_PICTURE_BYTES: Final = 64 << 20
_MADE_HERE: Final = (*readme.PICTURES, CROISSANT_NAME, NOTEBOOK_NAME, readme.CARD_NAME)


def sheet_shards(manifest: Manifest) -> list[str]:
    """The shards that the contact sheet is made from: the first of each split of one package.

    Returns:
        Their paths in the folder.
    """
    shown = shown_split(manifest)
    if shown is None or shown[0] == METADATA:
        return []
    return [files.shards[0].path for files in manifest.splits[shown[0]].values() if files.shards]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Profile and pictures of a dataset folder, made from its metadata.

    Attributes:
        profile: A summary of its specimens.
        pictures: The bytes of each picture of the profile, by its path in the folder; ``None`` if
            there is nothing to show.
        sheet: Returns the contact sheet of some shards. By default, the sheet is drawn when it is
            needed.
    """

    profile: Profile
    pictures: dict[str, bytes | None]
    sheet: Callable[[Sequence[Path]], bytes | None] | None = None


def draw(found: Profile) -> Drawn:
    """Draw the pictures of a profile."""
    pictures = {
        readme.TAXONOMY: taxonomy(found),
        readme.MEASURES: measures(found),
        readme.SITES: sites(found) if found.sites else None,
    }
    return Drawn(found, pictures)


def write_presentation(
    folder: Path,
    manifest: Manifest,
    picks: Iterable[Pick] | None = None,
    drawn: Drawn | None = None,
) -> None:
    """Write pictures, notebook, Croissant and card of a dataset folder, and its manifest last.

    Args:
        folder: The folder.
        manifest: Its manifest; the written files are added to it.
        picks: The specimens of the contact sheet; chosen from the shards by default.
        drawn: Profile and pictures of its metadata; counted and drawn by default.

    Raises:
        OutputError: A file cannot be written.
    """
    for name in _MADE_HERE:
        to_write(folder, name)
    if drawn is None and METADATA in manifest.splits:
        drawn = draw(profile(stored_metadata(folder, manifest)))
    for name in _MADE_HERE:
        manifest.extras.pop(name, None)
    made: dict[str, bytes | None] = {
        CROISSANT_NAME: render_croissant(manifest, drawn.profile if drawn else None)
    }
    if drawn:
        made |= drawn.pictures
        made[readme.SHEET] = _sheet(folder, manifest, picks, drawn)
        made[NOTEBOOK_NAME] = render_notebook(manifest, drawn.profile)
    files = SmallFiles(folder, manifest)
    for name, content in made.items():
        if content is not None:
            files.add(name, content)
    for name in readme.PICTURES:
        if name not in manifest.extras:
            remove(folder, name)
    _write_card(files, folder, manifest, drawn.profile if drawn else None)


def _sheet(
    folder: Path, manifest: Manifest, picks: Iterable[Pick] | None, drawn: Drawn
) -> bytes | None:
    if picks is not None:
        return contact_sheet(picks, drawn.profile.orders)
    shards = [folder / path for path in sheet_shards(manifest)]
    if not all(shard.exists() for shard in shards) and (folder / readme.SHEET).exists():
        # The shards were removed when they were published, after the sheet was made.
        return read_small(folder / readme.SHEET, _PICTURE_BYTES)
    if drawn.sheet:
        return drawn.sheet(shards)
    picks = [found for shard in shards for found in pick_specimens(shard)]
    return contact_sheet(picks, drawn.profile.orders)


def write_card(folder: Path, manifest: Manifest) -> None:
    """Write the card of a dataset folder, and its manifest last."""
    _write_card(SmallFiles(folder, manifest), folder, manifest, None)


def _write_card(files: SmallFiles, folder: Path, manifest: Manifest, found: Profile | None) -> None:
    files.add(readme.CARD_NAME, readme.render(manifest, found).encode())
    files.write()
    write_whole(folder / MANIFEST_NAME, manifest.to_json())


def present(
    folder: Path, name: str | None = None, say: Callable[[str], None] = warnings.warn
) -> Manifest:
    """Write card, pictures, notebook and Croissant of a dataset folder again.

    Args:
        folder: The folder.
        name: The name that its examples load; by default the same as before.
        say: Called with a message about links in the folder, or if it cannot be locked.

    Returns:
        The new manifest.

    Raises:
        ForeignFolder: The folder has no manifest.
        FolderInUse: A conversion is writing it.
        VerificationFailed: A shard that is read here is missing or broken.
        UsageError: The name is not a valid name of a repository.
    """
    read_manifest(folder)
    with open_state(folder, say):
        manifest = read_manifest(folder)
        if name:
            # Imported here, because only this needs the Hub's library, which takes long to import.
            from conversion.upload.hub import check_repository_name

            manifest.name = check_repository_name(name)
        try:
            write_presentation(folder, manifest)
        except (BrokenShard, OSError) as error:
            raise VerificationFailed(
                f"a shard cannot be read ({error})",
                where=str(folder),
                fix="run the same convert command again, which makes it again",
            ) from error
    return manifest
