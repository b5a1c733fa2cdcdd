"""Declare the options of ``convert`` in one place.

Each field declares its flags, how its value is parsed, and whether it changes the files that are
made. The command line, the fingerprint of a finished conversion and the table in the
documentation are derived from these declarations.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, get_type_hints

from bioscan5m_hf.processors import processors
from bioscan5m_hf.readers.formats import FORMATS, format_named
from bioscan5m_hf.schema.columns import RANKS, SPLITS, Split
from bioscan5m_hf.schema.configurations import package_names
from bioscan5m_hf.schema.split_expressions import GROUPS
from bioscan5m_hf.storage.path import Location, location_of
from conversion.pipeline.option import (
    Effect,
    Option,
    PerTaxon,
    read_count,
    read_one_of,
    read_package,
    read_scheduler,
    read_splits,
    read_where,
)
from conversion.sizes import parse_size

if TYPE_CHECKING:
    from conversion.catalogue.selection import SpecimenSelection
    from conversion.executors.dask import ClusterOptions
    from conversion.formats.samples import SampleExtras

DEFAULT_SHARD_BYTES: Final = 500_000_000
_HANDLING: Final = ("stop", "record")


def _read_format(name: str) -> str:
    return format_named(name).name


def _read_handling(word: str) -> bool:
    return read_one_of("way to handle a flaw", *_HANDLING)(word) == "record"


def _read_source(word: str) -> str:
    return read_package(word) if word else ""


@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """The options of a conversion; the help of each option describes its field.

    Empty ``packages`` or ``splits`` stand for all that are found. ``workers`` is ``None`` for one
    per processor, or one per thread of the cluster. ``derive`` is an empty string if the source
    package is chosen automatically. ``name`` is also the repository that the card's examples load.
    """

    release: Annotated[
        Location,
        Option(
            (),
            "the folder that holds upstream's files, or its URL, such as hf://datasets/user/name, "
            "https://host/folder or s3://bucket/folder",
            read=location_of,
            metavar="RELEASE",
            position=True,
            required=True,
        ),
        Effect.CHOICE,
    ]
    output: Annotated[
        Path,
        Option(
            ("--output", "-o"),
            "the dataset folder to write, or its URL, such as s3://bucket/bioscan-5m",
            read=location_of,
            metavar="DIR",
            shown="./ and the name of the repository, with --publish",
            position=True,
        ),
        Effect.NONE,
    ]
    workers: Annotated[
        int | None,
        Option(
            ("--workers",),
            "how many shards are made at a time",
            read=read_count,
            metavar="N",
            shown="one for each processor that may be used, or thread of the cluster",
        ),
        Effect.NONE,
    ] = None
    packages: Annotated[
        tuple[str, ...],
        Option(
            ("--package",),
            "a package",
            read=read_package,
            metavar="NAME",
            names=tuple(package_names()),
            shown="all that are found",
            repeated=True,
        ),
        Effect.CHOICE,
    ] = ()
    splits: Annotated[
        tuple[Split, ...],
        Option(
            ("--split",),
            "a split",
            read=read_splits,
            metavar="NAME",
            names=(*(split.name for split in SPLITS), *GROUPS),
            shown="all that are found",
            repeated=True,
        ),
        Effect.CHOICE,
    ] = ()
    shard_bytes: Annotated[
        int,
        Option(
            ("--shard-size",),
            "the most bytes that a shard should have, such as 500MB or 1GiB",
            read=parse_size,
            metavar="SIZE",
            shown="500MB",
        ),
        Effect.VALUE,
    ] = DEFAULT_SHARD_BYTES
    format: Annotated[
        str,
        Option(
            ("--format",),
            "the format of the shards",
            read=_read_format,
            metavar="NAME",
            names=tuple(FORMATS),
            shown="parquet",
        ),
        Effect.VALUE,
    ] = "parquet"
    min_shards: Annotated[
        int,
        Option(
            ("--min-shards",),
            "the least number of shards of a split: as many processes can share it",
            read=read_count,
            metavar="N",
            shown="1",
        ),
        Effect.VALUE,
    ] = 1
    captions: Annotated[
        bool,
        Option(
            ("--captions",),
            "with --format webdataset: a caption of the taxonomy beside each image, as .txt",
        ),
        Effect.VALUE,
    ] = False
    labels: Annotated[
        str | None,
        Option(
            ("--labels",),
            "with --format webdataset: the number of the label of this rank beside each image, as "
            ".cls",
            read=read_one_of("rank", *RANKS),
            metavar="RANK",
            names=RANKS,
        ),
        Effect.VALUE,
    ] = None
    record: Annotated[
        bool,
        Option(
            ("--on-error",),
            "at a flawed image or row: stop, or leave it out and record it in rejects.parquet",
            read=_read_handling,
            metavar="WHAT",
            names=_HANDLING,
            shown="stop",
        ),
        Effect.VALUE,
    ] = False
    subset: Annotated[
        bool,
        Option(
            ("--subset",),
            "the release is incomplete on purpose: leave out specimens without an image, and "
            "pass over images without a specimen; damaged images and rows are errors still",
        ),
        Effect.VALUE,
    ] = False
    where: Annotated[
        str | None,
        Option(
            ("--where",),
            "only specimens that fit, such as 'family in (Cecidomyiidae, Sciaridae)'",
            read=read_where,
            metavar="CONDITION",
        ),
        Effect.VALUE,
    ] = None
    per_taxon: Annotated[
        PerTaxon | None,
        Option(
            ("--per-taxon",),
            "only taxa with at least LEAST specimens, and of each the first MOST by "
            "md5(processid), such as family:10:50",
            read=PerTaxon.read,
            metavar="RANK:LEAST:MOST",
        ),
        Effect.VALUE,
    ] = None
    sample: Annotated[
        int | None,
        Option(
            ("--sample",),
            "only N specimens: from each split in proportion to its size, the first by "
            "md5(processid)",
            read=read_count,
            metavar="N",
        ),
        Effect.VALUE,
    ] = None
    restart: Annotated[
        bool,
        Option(
            ("--restart",),
            "replace what was made from different input or with different options",
        ),
        Effect.NONE,
    ] = False
    name: Annotated[
        str | None,
        Option(
            ("--publish",),
            "publish to this dataset repository, as user/name, when all is made",
            metavar="REPO_ID",
        ),
        Effect.VALUE,
    ] = None
    private: Annotated[
        bool,
        Option(
            ("--private",),
            "make the repository private, if it does not exist yet",
            needs=("--publish",),
        ),
        Effect.NONE,
    ] = False
    scratch: Annotated[
        int | None,
        Option(
            ("--scratch",),
            "with --publish, or where the output is a URL: send each shard when it is made and "
            "free it, so that no more than SIZE lies on the disk",
            read=parse_size,
            metavar="SIZE",
        ),
        Effect.NONE,
    ] = None
    derive: Annotated[
        str | None,
        Option(
            ("--derive",),
            "make the packages from another one of the release: cropped, original_256 and "
            "cropped_256 (from cropped, or from original_full and the boxes, unless FROM says "
            "which)",
            read=_read_source,
            metavar="FROM",
            names=tuple(package_names()),
            bare="",
        ),
        Effect.CHOICE,
    ] = None
    short_side: Annotated[
        int | None,
        Option(
            ("--short-side",),
            "with --package cropped or original: resize to N pixels, as the configuration "
            "cropped_N or original_N",
            read=read_count,
            metavar="N",
            needs=("--derive",),
        ),
        Effect.CHOICE,
    ] = None
    read_ahead: Annotated[
        int | None,
        Option(
            ("--read-ahead",),
            "how many bytes of a release behind a URL are held at a time, by all workers together; "
            "with less, more is fetched twice",
            read=parse_size,
            metavar="SIZE",
            shown="512MiB for each worker",
        ),
        Effect.NONE,
    ] = None
    scheduler: Annotated[
        str | None,
        Option(
            ("--scheduler",),
            "make the shards on the Dask cluster of this scheduler, such as tcp://host:8786; "
            "release and output must lie where its workers see them",
            metavar="ADDRESS",
            read=read_scheduler,
        ),
        Effect.NONE,
    ] = None
    worker_timeout: Annotated[
        int,
        Option(
            ("--worker-timeout",),
            "how long to wait for a worker of the cluster where there is none",
            read=read_count,
            metavar="SECONDS",
            shown="60",
            needs=("--scheduler",),
        ),
        Effect.NONE,
    ] = 60

    @property
    def threads(self) -> int:
        """The number of processes or threads on this machine."""
        return self.workers if self.workers and not self.scheduler else processors()

    @property
    def shards_on_disk(self) -> int:
        """How many shards lie on the disk if they are uploaded: being made and being sent."""
        return 2 * self.threads

    @property
    def selection(self) -> SpecimenSelection:
        """The specimens to convert."""
        from conversion.catalogue.selection import SpecimenSelection

        return SpecimenSelection(self.where, self.per_taxon, self.sample)

    @property
    def extras(self) -> SampleExtras:
        """The members of a sample in addition to image and record."""
        from conversion.formats.samples import SampleExtras

        return SampleExtras(self.captions, self.labels)

    def hold(self, workers: int) -> int:
        """How many bytes of remote archives one worker may hold."""
        from bioscan5m_hf.storage.ranges import DEFAULT_HOLD

        return self.read_ahead // workers if self.read_ahead else DEFAULT_HOLD

    @property
    def cluster(self) -> ClusterOptions | None:
        """The cluster that makes the shards; ``None`` for this machine."""
        if self.scheduler is None:
            return None
        from conversion.executors.dask import ClusterOptions

        return ClusterOptions(self.scheduler, self.workers, self.worker_timeout)


@functools.cache
def _declared() -> dict[str, tuple[Option, Effect]]:
    hints = get_type_hints(ConvertOptions, include_extras=True)
    return {name: hint.__metadata__ for name, hint in hints.items()}


def convert_options() -> dict[str, Option]:
    """The option of each field of ``ConvertOptions``, by the field's name."""
    return {name: option for name, (option, _) in _declared().items()}


def effects() -> dict[str, Effect]:
    """The effect of each field of ``ConvertOptions`` on the files, by the field's name."""
    return {name: effect for name, (_, effect) in _declared().items()}


def fingerprinted(options: ConvertOptions) -> list[tuple[str, object]]:
    """The names and values of the fields that change the files by themselves."""
    return [
        (name, getattr(options, name))
        for name, effect in effects().items()
        if effect is Effect.VALUE
    ]
