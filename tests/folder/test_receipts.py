"""A receipt is trusted only where it is what was written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conversion.files.atomic import Written
from conversion.folder.state import Receipt, _digest
from conversion.planning.shards import Shard
from conversion.rejects import Finding
from conversion.shards.build import ShardResult

RECEIPT = Receipt(
    {"input": "abc"},
    ShardResult(
        Shard("cropped_256", "train", 0, 2, 10, 20),
        9,
        12_345,
        Written(20_000, "0" * 32),
        (Finding("empty", "A-1", "train", "a.zip", "A-1.jpg", "it is empty"),),
    ),
)


def test_a_receipt_comes_back() -> None:
    assert Receipt.from_json(RECEIPT.to_json()) == RECEIPT


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rows": "9"}, "rows is '9' and not int"),
        ({"shard": {"configuration": "cropped_256"}}, "not a receipt"),
        ({"rejects": [{"reason": 1} | dict.fromkeys(Finding.__slots__[1:])]}, "reason is 1"),
        ({"written": 5}, "not a receipt"),
    ],
)
def test_values_of_other_kinds_are_refused(change: dict[str, Any], told: str) -> None:
    content = json.loads(RECEIPT.to_json())["receipt"]
    content["result"] |= change
    forged = json.dumps({"receipt": content, "sha256": _digest(content)}).encode()
    with pytest.raises(ValueError, match=told):
        Receipt.from_json(forged)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"[" * 100_000])
def test_what_is_no_receipt(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a receipt|Expecting value"):
        Receipt.from_json(text)


def test_a_changed_receipt_is_damaged() -> None:
    with pytest.raises(ValueError, match="damaged"):
        Receipt.from_json(RECEIPT.to_json().replace(b"12345", b"12346"))
