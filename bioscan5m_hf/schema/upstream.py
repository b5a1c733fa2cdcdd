"""Declare what upstream publishes: names, licence, citation, and the files of each mirror.

Columns and splits are declared in ``columns``, packages in ``configurations``, and every other
literal of the BIOSCAN-5M release here. A new mirror is one entry of ``MIRRORS``; a new file is one
entry of ``FILES``. Lengths and MD5 digests are those that upstream has published. If there are
none, a download takes the length from the mirror, and the SHA-256 from the Hub.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, Literal

from bioscan5m_hf.errors import UnknownName

NAME: Final = "BIOSCAN-5M"
REPOSITORY: Final = "bioscan-ml/BIOSCAN-5M"
"""The repository of the release on the Hub and on GitHub."""
HOMEPAGE: Final = "https://biodiversitygenomics.net/projects/5m-insects/"
PAPER: Final = "https://arxiv.org/abs/2406.12723"
PUBLISHED: Final = "2024-06-18"

LICENCE: Final = "cc-by-3.0"
LICENCE_NAME: Final = "Creative Commons Attribution 3.0"
LICENCE_URL: Final = "https://creativecommons.org/licenses/by/3.0/"
HOLDER: Final = "CBG Photography Group, Centre for Biodiversity Genomics"
CITATION: Final = """\
@inproceedings{gharaee2024bioscan5m,
  title     = {{BIOSCAN-5M}: A Multimodal Dataset for Insect Biodiversity},
  author    = {Gharaee, Zahra and Lowe, Scott C. and Gong, ZeMing and Millan Arias, Pablo and
               Pellegrino, Nicholas and Wang, Austin T. and Haurum, Joakim Bruslund and
               Zarubiieva, Iuliia and Kari, Lila and Steinke, Dirk and Taylor, Graham W. and
               Fieguth, Paul and Chang, Angel X.},
  booktitle = {Advances in Neural Information Processing Systems (NeurIPS),
               Datasets and Benchmarks Track},
  year      = {2024},
  note      = {arXiv:2406.12723}
}"""

PREFIXES: Final = ("BIOSCAN_5M_", "BIOSCAN_")
"""Prefixes of the names of archives: the one used on the Hub, and an older one."""
METADATA_STEM: Final = "BIOSCAN_5M_Insect_Dataset_metadata"
METADATA_ZIP: Final = f"{METADATA_STEM}_MultiTypes.zip"
BBOX_NAME: Final = "BIOSCAN_5M_Insect_bbox.tsv"

Transport = Literal["https", "hub", "by hand"]


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One file that upstream publishes.

    Attributes:
        name: Its name, the same on every mirror.
        package: The package whose images it holds; ``None`` for metadata and bounding boxes.
        partition: The group of splits that it holds; ``None`` for all splits.
        bytes: Its length, if upstream has published it.
        md5: Its digest in hex, if upstream has published it.
    """

    name: str
    package: str | None = None
    partition: str | None = None
    bytes: int | None = None
    md5: str | None = None


@dataclass(frozen=True, slots=True)
class Mirror:
    """One place where files are published.

    Attributes:
        name: Its name as a value of ``--from``.
        transport: How files are fetched from it.
        location: A URL to which the name of a file is appended, the name of a repository on the
            Hub, or the page to open by hand.
        variable: An environment variable that replaces the location, for copies of the mirror and
            for tests. ``None`` for the Hub, because its own ``HF_ENDPOINT`` serves this purpose.
        files: The names of the files that it has.
    """

    name: str
    transport: Transport
    location: str
    variable: str | None
    files: tuple[str, ...]

    @property
    def address(self) -> str:
        """The location, or the value of the environment variable that replaces it."""
        return (os.environ.get(self.variable) if self.variable else None) or self.location


FILES: Final[dict[str, PublishedFile]] = {
    file.name: file
    for file in (
        PublishedFile(METADATA_ZIP, bytes=2_065_075_527, md5="ac381b69fafdbaedc2f9cfb89e3571f7"),
        PublishedFile(BBOX_NAME),
        PublishedFile("BIOSCAN_5M_original_full.01.zip", "original_full"),
        PublishedFile("BIOSCAN_5M_original_full.02.zip", "original_full"),
        PublishedFile("BIOSCAN_5M_original_full.03.zip", "original_full"),
        PublishedFile("BIOSCAN_5M_original_full.04.zip", "original_full"),
        PublishedFile("BIOSCAN_5M_original_full.05.zip", "original_full"),
        PublishedFile("BIOSCAN_5M_cropped.01.zip", "cropped"),
        PublishedFile("BIOSCAN_5M_cropped.02.zip", "cropped"),
        PublishedFile("BIOSCAN_5M_original_256.zip", "original_256"),
        PublishedFile("BIOSCAN_5M_original_256_pretrain.zip", "original_256", "pretrain"),
        PublishedFile("BIOSCAN_5M_original_256_train.zip", "original_256", "train"),
        PublishedFile("BIOSCAN_5M_original_256_eval.zip", "original_256", "eval"),
        PublishedFile("BIOSCAN_5M_cropped_256.zip", "cropped_256"),
        PublishedFile("BIOSCAN_5M_cropped_256_pretrain.zip", "cropped_256", "pretrain"),
        PublishedFile(
            "BIOSCAN_5M_cropped_256_pretrain.01.zip",
            "cropped_256",
            "pretrain",
            md5="0e1cfa86dc7fa4d9c10036990992a2dd",
        ),
        PublishedFile(
            "BIOSCAN_5M_cropped_256_pretrain.02.zip",
            "cropped_256",
            "pretrain",
            md5="ca3191d307957732e8108121b20a2059",
        ),
        PublishedFile(
            "BIOSCAN_5M_cropped_256_train.zip",
            "cropped_256",
            "train",
            bytes=2_224_548_648,
            md5="3f170db5d95610644883dafc73389049",
        ),
        PublishedFile(
            "BIOSCAN_5M_cropped_256_eval.zip",
            "cropped_256",
            "eval",
            bytes=1_467_020_347,
            md5="16a997f72a8cd08cbcf7becafe2dda50",
        ),
    )
}

_RESIZED: Final = tuple(
    f"BIOSCAN_5M_{package}{partition}.zip"
    for package in ("original_256", "cropped_256")
    for partition in ("", "_pretrain", "_train", "_eval")
)

MIRRORS: Final[tuple[Mirror, ...]] = (
    Mirror("hub", "hub", REPOSITORY, None, (METADATA_ZIP, *_RESIZED)),
    Mirror(
        "zenodo",
        "https",
        "https://zenodo.org/records/11973457/files/",
        "BIOSCAN5M_ZENODO_URL",
        (
            METADATA_ZIP,
            "BIOSCAN_5M_cropped_256_pretrain.01.zip",
            "BIOSCAN_5M_cropped_256_pretrain.02.zip",
            "BIOSCAN_5M_cropped_256_train.zip",
            "BIOSCAN_5M_cropped_256_eval.zip",
        ),
    ),
    # No library downloads files of this size from Google Drive reliably, because its quotas and its
    # confirmation page change without notice.
    Mirror(
        "drive",
        "by hand",
        "https://drive.google.com/drive/folders/1Jc57eKkeiYrnUBc9WlIp-ZS_L1bVlT-0",
        None,
        (
            METADATA_ZIP,
            BBOX_NAME,
            *(name for name, file in FILES.items() if file.package == "original_full"),
            *(name for name, file in FILES.items() if file.package == "cropped"),
            *_RESIZED,
        ),
    ),
)


def mirror_named(name: str) -> Mirror:
    """Find a mirror.

    Raises:
        UnknownName: There is no such mirror; the message lists them.
    """
    for mirror in MIRRORS:
        if mirror.name == name:
            return mirror
    raise UnknownName.of("mirror", name, [mirror.name for mirror in MIRRORS])
