"""State what a user of the data must know: its source, its labels and its limitations.

The card and the Croissant description use the same statements.
"""

from __future__ import annotations

from typing import Final

from conversion.card.statistics import Profile
from conversion.folder.manifest import Manifest

COLLECTION: Final = (
    "The specimens were collected in many countries, photographed and barcoded at the Centre for "
    "Biodiversity Genomics; `processid` is the id of a record in the Barcode of Life Data System "
    "(BOLD)."
)
PREPROCESSING: Final = (
    "Upstream cut the photographs to the organism, made the smaller sizes and divided the "
    "specimens into splits."
)
LABELS: Final = (
    "The labels are upstream's: taxonomists gave them, or they follow from the Barcode Index "
    "Number of the specimen; `inferred_ranks` says at which ranks."
)
MISSING: Final = "A rank that is not known is null, and nothing is filled in here."
PERSONAL_DATA: Final = "There are none: `sampleid` names a specimen, not a person."
USES: Final = (
    "classifying insects by photograph, by DNA barcode or by both",
    "pretraining without labels",
    "recognising species that were not seen in training, and detecting that they are new",
)


def biases(manifest: Manifest, found: Profile | None) -> list[str]:
    """State how the specimens differ from a fair sample, in phrases with names from the data."""
    if not (found and found.specimens and found.orders and found.countries):
        return []
    (order, most), (country, many) = found.orders[0], found.countries[0]
    # For a selection, this may be false.
    rare = "" if manifest.selection else ", and most taxa have few specimens"
    return [
        f"{most / found.specimens:.0%} of the specimens are {order}{rare}",
        f"{many / found.specimens:.0%} were collected in {country}; large parts of the world "
        "have none",
    ]


def limitations(found: Profile | None) -> list[str]:
    """State the limitations of the data, as phrases."""
    shares: list[str] = []
    if found and found.specimens:
        shares = [
            f"{rank.labelled / found.specimens:.0%} are labelled to the {rank.rank}"
            for rank in found.ranks
            if rank.rank in ("genus", "species")
        ]
    return [
        *shares,
        "a label that follows from a Barcode Index Number is wrong where that number holds more "
        "than one taxon",
        "photographs show preserved specimens in a dish, not insects where they live",
    ]
