import numpy as np

from conversion.sample import barcodes
from conversion.sample.lineages import lineages


def _differing(first: np.ndarray, second: np.ndarray) -> int:
    return int((first != second).sum())


def test_relatives_have_similar_barcodes() -> None:
    lines = lineages(0, 2_000)
    typical = barcodes.lineage_barcodes(lines)
    same_genus = [
        _differing(typical[a], typical[b])
        for a in range(60)
        for b in range(a)
        if lines.genus[a] == lines.genus[b]
    ]
    others = [
        _differing(typical[a], typical[b])
        for a in range(60)
        for b in range(a)
        if lines.genus[a] != lines.genus[b]
    ]
    assert same_genus
    assert np.mean(same_genus) < np.mean(others)
    assert 5 < np.mean(others) / barcodes.LENGTH * 100 < 30


def test_specimens_of_a_lineage_share_barcodes_or_nearly_do() -> None:
    lines = lineages(0, 2_000)
    typical = barcodes.lineage_barcodes(lines)
    index = np.arange(400)
    texts = barcodes.specimen_barcodes(0, index, np.zeros(400, dtype=np.int64), typical)
    assert 5 < len(set(texts)) < 200
    assert set("".join(texts)) >= set("ACGTN")
