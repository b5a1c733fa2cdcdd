"""Images are joined as they come, in memory that nobody else looks at."""

from __future__ import annotations

import gc

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from conversion.shards.images import BlockMemory, JoinedImages


def joined(memory: BlockMemory, images: list[bytes], expected: int) -> pa.BinaryArray:
    found = JoinedImages(memory.lend(expected))
    for image in images:
        found.add(image)
    return found.array()


@given(blocks=st.lists(st.lists(st.binary(max_size=30), max_size=8)), expected=st.integers(0, 300))
def test_images_are_what_they_were_whatever_room_was_expected(
    blocks: list[list[bytes]], expected: int
) -> None:
    memory = BlockMemory()
    # Held to the end: no later block is written over them.
    held = [joined(memory, images, expected) for images in blocks]
    assert [array.to_pylist() for array in held] == blocks
    for array in held:
        array.validate(full=True)


def test_memory_is_used_again_once_nobody_holds_its_images() -> None:
    memory = BlockMemory()
    array = joined(memory, [b"first"], 100)
    address = array.buffers()[2].address
    part = array.slice(0, 1)
    other = joined(memory, [b"second"], 100)
    assert other.buffers()[2].address != address
    assert part.to_pylist() == [b"first"]
    del array, part, other
    gc.collect()
    again = joined(memory, [b"third"], 90)
    assert again.buffers()[2].address == address
    assert again.to_pylist() == [b"third"]


def test_no_byte_behind_the_images_is_theirs() -> None:
    array = joined(BlockMemory(), [b"ab", b"c"], 1000)
    assert array.buffers()[2].size == 3
