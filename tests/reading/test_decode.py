"""Decoding on threads gives the pixels that Pillow gives."""

from __future__ import annotations

import importlib.util
import io
import tracemalloc
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageOps

from bioscan5m_hf import iter_images, load_dataset
from bioscan5m_hf import jpeg as pixels
from bioscan5m_hf.errors import ImageError, MissingDependency, UnknownName, UsageError
from bioscan5m_hf.jpeg import decode_jpeg, target_size
from bioscan5m_hf.schema.columns import image_type


@pytest.mark.parametrize("kind", ["zips", "parquet", "arrow", "webdataset"])
@pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "prepared"])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_batches_are_in_order_and_whole(
    kind: str, streaming: bool, batch_size: int, forms: Path, tmp_path: Path
) -> None:
    ds = load_dataset(
        forms / kind, split="pretrain", streaming=streaming, class_labels=["order"],
        cache_dir=tmp_path,
    )  # fmt: skip
    wanted = list(ds)
    batches = list(iter_images(ds, batch_size=batch_size, threads=2))
    sizes = [len(batch["image"]) for batch in batches]
    assert sum(sizes) == len(wanted)
    assert set(sizes[:-1]) <= {batch_size}
    rows = [
        dict(zip(b, values, strict=True))
        for b in batches
        for values in zip(*b.values(), strict=True)
    ]
    for row, expected in zip(rows, wanted, strict=True):
        pixels_ = np.asarray(expected.pop("image").convert("RGB"))
        assert row["image"].dtype == np.uint8
        np.testing.assert_array_equal(row.pop("image"), pixels_)
        assert row == expected


def _jpeg(width: int, height: int, mode: str = "RGB", **options: Any) -> bytes:
    across, down = np.meshgrid(np.linspace(0, 6, width), np.linspace(0, 6, height))
    wave = ((np.sin(across * 2) + np.cos(down * 3) + 2) * 63).astype(np.uint8)
    image = Image.fromarray(np.dstack([wave, 255 - wave, wave // 2])).convert(mode)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=92, **options)
    return out.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("turbo", [True, False])
@pytest.mark.parametrize("scaler", ["opencv", "cykooz", "pillow"])
@pytest.mark.parametrize("shape", [(1024, 768), (768, 1024), (300, 256), (255, 400), (90, 40)])
def test_scaling_is_close_to_scaling_the_whole(
    shape: tuple[int, int], scaler: str, turbo: bool, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {"opencv": pixels.HAVE_OPENCV, "cykooz": pixels.HAVE_RESIZER, "pillow": True}
    if not there[scaler]:
        pytest.skip(f"{scaler} is not installed")
    monkeypatch.setattr(pixels, "HAVE_OPENCV", scaler == "opencv")
    monkeypatch.setattr(pixels, "HAVE_RESIZER", scaler == "cykooz")
    monkeypatch.setattr(pixels, "HAVE_TURBO", turbo and pixels.HAVE_TURBO)
    data = _jpeg(*shape, mode=mode)
    with Image.open(io.BytesIO(data)) as image:
        whole = image.convert("RGB")
    np.testing.assert_allclose(decode_jpeg(data), np.asarray(whole), atol=2)
    height, width = target_size(shape[1], shape[0], 256)
    assert min(height, width) == 256
    found = decode_jpeg(data, 256)
    assert found.shape == (height, width, 3)
    reference = np.asarray(whole.resize((width, height), Image.Resampling.BILINEAR))
    assert np.abs(found.astype(int) - reference).mean() < 3
    # What is cut off is cut off before the last step, to within a pixel.
    for out in (None, np.empty((200, 200, 3), np.uint8)):
        square = decode_jpeg(data, 200, square=True, out=out)
        fitted = ImageOps.fit(whole, (200, 200), Image.Resampling.BILINEAR)
        assert square.shape == (200, 200, 3)
        assert np.abs(square.astype(int) - np.asarray(fitted)).mean() < 4


def test_progressive_images_and_other_pixels_than_a_jpeg() -> None:
    data = _jpeg(600, 400, progressive=True)
    assert decode_jpeg(data, 100).shape == (100, 150, 3)
    for bad in (b"", b"nothing", data[:300]):
        with pytest.raises(ImageError, match=r"fly\.jpg: cannot be decoded"):
            decode_jpeg(bad, None, "fly.jpg")


def test_outputs(forms: Path, tmp_path: Path) -> None:
    ds = load_dataset(forms / "parquet", split="val", streaming=True, cache_dir=tmp_path)
    arrays = next(iter_images(ds, size=32))["image"]
    images = next(iter_images(ds, size=32, output="pil"))["image"]
    assert isinstance(images[0], Image.Image)
    np.testing.assert_array_equal(np.asarray(images[0]), arrays[0])
    with pytest.raises(UnknownName, match="numpy, pil, torch"):
        next(iter_images(ds, output="tensor"))
    if importlib.util.find_spec("torch") is None:
        with pytest.raises(MissingDependency, match="pip install torch"):
            next(iter_images(ds, output="torch"))
    else:
        tensor = next(iter_images(ds, size=32, output="torch"))["image"][0]
        np.testing.assert_array_equal(tensor.permute(1, 2, 0).numpy(), arrays[0])
        # As a batch has them: it is stacked without putting bytes into another order.
        assert tensor.is_contiguous()
    wrong: list[dict[str, Any]] = [{"batch_size": 0}, {"threads": 0}, {"size": 0}]
    for options in wrong:
        with pytest.raises(UsageError, match="positive"):
            next(iter_images(ds, **options))
    bare = load_dataset(forms / "parquet", "metadata", split="val", streaming=True)
    with pytest.raises(UsageError, match="no column 'image'"):
        next(iter_images(bare))


def test_stopping_early_leaves_no_thread(forms: Path, tmp_path: Path) -> None:
    import threading

    ds = load_dataset(forms / "zips", split="pretrain", streaming=True, cache_dir=tmp_path)
    batches = iter_images(ds, batch_size=4, threads=2)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name.startswith("bioscan5m-decode")]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("turbo", [True, False])
def test_pixels_are_those_of_datasets(
    orientation: int, mode: str, progressive: bool, turbo: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "HAVE_TURBO", turbo and pixels.HAVE_TURBO)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = _jpeg(90, 64, mode=mode, exif=exif, progressive=progressive)
    theirs = datasets.Image().decode_example({"bytes": data, "path": None})
    expected = np.asarray(theirs.convert("RGB"))
    np.testing.assert_allclose(decode_jpeg(data), expected, atol=2)
    small = decode_jpeg(data, 32)
    assert small.shape[:2] == target_size(expected.shape[0], expected.shape[1], 32)
    assert min(small.shape[:2]) == 32


@pytest.mark.parametrize("told", ["by an attribute", "by an element", "behind other Exif data"])
@pytest.mark.parametrize("turbo", [True, False])
def test_xmp_turns_an_image_as_it_does_for_datasets(
    told: str, turbo: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "HAVE_TURBO", turbo and pixels.HAVE_TURBO)
    xmp = b'<rdf:Description tiff:Orientation="6"/>'
    if told == "by an element":
        xmp = b"<tiff:Orientation>6</tiff:Orientation>"
    exif = Image.Exif()
    if told == "behind other Exif data":
        exif[0x010F] = "a camera"
    data = _jpeg(90, 64, xmp=b"<x:xmpmeta>" + xmp + b"</x:xmpmeta>", exif=exif)
    theirs = datasets.Image().decode_example({"bytes": data, "path": None})
    assert theirs.size == (64, 90)
    np.testing.assert_allclose(decode_jpeg(data), np.asarray(theirs), atol=2)


def _claiming(width: int, height: int) -> bytes:
    data = _jpeg(32, 32)
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + height.to_bytes(2) + width.to_bytes(2) + data[at + 4 :]


def _as(form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (20, 20)).save(out, form, **options)
    return out.getvalue()


HOSTILE = {
    "a bomb": _claiming(65_000, 65_000),
    "a smaller bomb": _claiming(9_000, 9_000),
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
    "PNG": _as("PNG"),
    "TIFF": _as("TIFF"),
    "WebP": _as("WEBP"),
    "nothing": b"",
    "a start alone": b"\xff\xd8\xff",
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("size", [None, 16])
@pytest.mark.parametrize("turbo", [True, False])
def test_only_jpeg_of_a_photograph_s_size_is_decoded(
    kind: str, size: int | None, turbo: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "HAVE_TURBO", turbo and pixels.HAVE_TURBO)
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match=r"x\.jpg: cannot be decoded"):
            decode_jpeg(HOSTILE[kind], size, "x.jpg")
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_a_path_in_a_row_is_never_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(_jpeg(20, 20))
    cells = pa.array([{"bytes": None, "path": str(secret)}], image_type())
    table = pa.table({"image": cells}, schema=pa.schema({"image": image_type()}))
    rows = datasets.Dataset(table).cast_column("image", datasets.Image())
    with pytest.raises(ImageError, match="bytes of the image are missing"):
        list(iter_images(rows))
