"""The bytes of shards stay what they are: a fixed release gives files of fixed digests."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from tests.conftest import Run, make_once
from tests.rows import as_csv, chunk, plain

SPECIMENS = {"train": 61, "val": 20, "pretrain": 1300}

# Of the shards of each configuration one after the other, in the order of their names. Metadata
# beside tars are Parquet.
PARQUET = "7b0823512bd54b85398df9af09b61d8ba767228713763d5c77066b68a59cab45"
DIGESTS = {
    "parquet": {
        "cropped_256": "00cb18cc511faf72921ffb377e3e72551f393a781597e0f5b61fcd4140a3a176",
        "metadata": PARQUET,
    },
    "arrow": {
        "cropped_256": "07bca29ef794c96023ebf6079077960b9634f8f51c396061359402c0eb627282",
        "metadata": "eb84e9f3209b21d5ff550c288238ac609a16a213b3064f0bc90bf9bb1aa4a578",
    },
    "webdataset": {
        "cropped_256": "2ef898f204995bb888e42fdc4df94b64959c426d4fc01dbf63a187fd53cb7efb",
        "metadata": PARQUET,
    },
}
# The footer of a Parquet file names the version of the library that wrote it.
PARQUET_OF = "26.0.1"


def numbers(seed: str) -> bytes:
    return hashlib.shake_128(seed.encode()).digest(2000 + len(seed) * 7)


def jpeg(name: str) -> bytes:
    """What counts as a JPEG: marks at both ends, a segment, and a scan that has no mark in it."""
    comment = numbers(name)[:100]
    scan = numbers(f"scan of {name}").replace(b"\xff", b"\xfe")
    head = b"\xff\xd8\xff\xfe" + (2 + len(comment)).to_bytes(2, "big") + comment
    return head + b"\xff\xda\x00\x02" + scan + b"\xff\xd9"


@pytest.fixture(scope="module")
def fixed_release(shared: Path) -> Path:
    def make(root: Path) -> None:
        root.mkdir()
        rows = []
        with zipfile.ZipFile(root / "BIOSCAN_5M_cropped_256.zip", "w") as archive:
            for split, count in SPECIMENS.items():
                for number in range(count):
                    name = f"{split.upper()}{number:05}-24"
                    barcode = numbers(name).translate(bytes(b"ACGT"[i % 4] for i in range(256)))
                    values = {
                        "processid": name,
                        "split": split,
                        "chunk": chunk(name, split),
                        "order": ("Diptera", "Hymenoptera", "")[number % 3],
                        "family": "Cecidomyiidae" if number % 6 == 0 else "",
                        "country": ("Costa Rica", 'Côte "d\'Ivoire"', "")[number % 3],
                        "dna_barcode": barcode[: 300 + number % 300].decode(),
                        "coord_lat": f"{number % 90}.25",
                        "coord_lon": f"-{number % 180}.5",
                        "area_fraction": f"0.{number + 1}",
                    }
                    rows.append(plain(0, **values))
                    folder = "/".join(filter(None, (split, values["chunk"])))
                    member = f"bioscan5m/images/cropped_256/{folder}/{name}.jpg"
                    archive.writestr(zipfile.ZipInfo(member), jpeg(name))
        (root / "BIOSCAN_5M_Insect_Dataset_metadata.csv").write_bytes(as_csv(rows))

    return make_once(shared / "fixed-release", make)


@pytest.mark.parametrize("form", ["parquet", "arrow", "webdataset"])
def test_a_fixed_release_gives_fixed_bytes(
    form: str, fixed_release: Path, tmp_path: Path, call: Run
) -> None:
    call(
        *("convert", fixed_release, "--output", tmp_path / "out", "--format", form),
        *("--shard-size", "500kB", "--quiet"),
    )
    for name, wanted in DIGESTS[form].items():
        files = sorted((tmp_path / "out" / name).iterdir())
        shards = [path for path in files if path.suffix != ".json"]
        assert len(shards) > (5 if name == "cropped_256" else 2)
        if shards[0].suffix == ".parquet" and pa.__version__ != PARQUET_OF:
            continue
        found = hashlib.sha256(b"".join(path.read_bytes() for path in shards)).hexdigest()
        assert found == wanted, f"the bytes of {name} have changed"
