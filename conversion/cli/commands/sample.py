"""``bioscan5m sample``: write a synthetic release in upstream's layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bioscan5m_hf.errors import UsageError, counted
from bioscan5m_hf.processors import processors
from bioscan5m_hf.schema.configurations import package_names
from bioscan5m_hf.storage.path import absolute
from conversion.cli.command import command
from conversion.cli.parameters import PACKAGES, WORKERS, switch
from conversion.pipeline.option import Option, read_count, read_one_of
from conversion.sizes import readable_size
from conversion.synthetic.options import LAYOUTS, METADATA, NAMES, SampleOptions

if TYPE_CHECKING:
    from conversion.cli.console import Terminal


def _read_seed(text: str) -> int:
    try:
        # Generators of random numbers do not take seeds below 0.
        return int(text) % (1 << 64)
    except ValueError:
        raise UsageError(
            f"{text[:20]!r} is not a whole number", fix="write one such as 7"
        ) from None


@command(
    "sample",
    [
        "bioscan5m sample RELEASE -n 2000",
        "bioscan5m sample RELEASE -n 100000 --package cropped_256",
    ],
    {
        "release": Option(
            (), "the folder to write", "RELEASE", absolute, position=True, required=True
        ),
        "specimens": Option(
            ("--specimens", "-n"), "how many specimens", "N", read_count, default=2000
        ),
        "seed": Option(
            ("--seed",), "a different seed gives a different release", "N", _read_seed, default=0
        ),
        "packages": replace(PACKAGES, shown="all"),
        "layout": Option(
            ("--layout",),
            "a zip for each group of splits, one zip, numbered parts, or plain files",
            "NAME",
            read_one_of("layout", *LAYOUTS),
            names=LAYOUTS,
            default="groups",
        ),
        "names": Option(
            ("--names",),
            "the names of the zips: BIOSCAN_5M_… as on the Hub, or BIOSCAN_…",
            "NAME",
            read_one_of("naming", *NAMES),
            names=NAMES,
            default="hub",
        ),
        "metadata": Option(
            ("--metadata",),
            "a form of the metadata",
            "NAME",
            read_one_of("form of the metadata", *METADATA),
            names=METADATA,
            shown="csv and jsonld",
            repeated=True,
        ),
        "distinct": Option(
            ("--distinct",),
            "how many different photographs are drawn at most; the others reuse them",
            "N",
            read_count,
            shown="3000",
        ),
        "tiny": switch("--tiny", "images of a few hundred bytes, for tests of scale"),
        "workers": WORKERS,
    },
)
def run(
    terminal: Terminal,
    *,
    release: Path,
    packages: tuple[str, ...],
    workers: int | None,
    **settings: Any,
) -> int:
    """Write a synthetic release."""
    from conversion.cli.console import make_table
    from conversion.synthetic.release import write_sample

    asked = SampleOptions(
        release,
        packages=packages or tuple(package_names()),
        workers=workers or processors(),
        **{name: value for name, value in settings.items() if value},
    )
    counts = write_sample(asked, terminal)
    sizes = [path.stat().st_size for path in release.rglob("*") if path.is_file()]
    rows = [(split, f"{count:,}") for split, count in counts.items()]
    images = ", ".join(f"{asked.specimens:,} {package}" for package in asked.packages)
    terminal.show(
        make_table(str(release), ("split", "specimens"), rows, right=1),
        f"{counted(len(sizes), 'file')}, {readable_size(sum(sizes))}; images: {images}",
    )
    return 0
