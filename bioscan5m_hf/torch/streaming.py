"""``BIOSCAN5MStream``: the streaming twin of ``BIOSCAN5M``, for data that are too far away."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import torch.distributed
import torch.utils.data

from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.query.choice import PROCESSID, Choice, Numbers
from bioscan5m_hf.readers.base import Piece
from bioscan5m_hf.schema.columns import IMAGE_COLUMN
from bioscan5m_hf.torch.dataset import BIOSCAN5M
from bioscan5m_hf.torch.decoder import bytes_of
from bioscan5m_hf.torch.items import Transform

_BATCH: Final = 64


class BIOSCAN5MStream(torch.utils.data.IterableDataset[Any]):
    """Items in the order of the files, dealt out by shard among ranks and their workers.

    Each specimen goes to one worker of one rank. Where there are fewer shards than workers of all
    ranks, their row groups are dealt out; ranks may get different numbers of items. ``state_dict``
    and ``load_state_dict`` continue behind the last item, also in torchdata's
    ``StatefulDataLoader``, with as many ranks and workers as before.

    What is not told here is an argument of ``BIOSCAN5M``.

    Args:
        root: What to read.
        shuffle: Take the shards in another order in each epoch, and the rows of each part that is
            read at once too.
        seed: What the order depends on, beside the epoch.
        rank: The number of this process; that of ``torch.distributed`` by default, else 0.
        world_size: How many processes there are; likewise.

    Raises:
        UsageError: The rank is not among the processes.
    """

    def __init__(  # noqa: PLR0913 - its own arguments, and those of ``BIOSCAN5M``
        self,
        root: str | os.PathLike[str],
        *,
        shuffle: bool = False,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        split: str | None = "train",
        modality: str | Iterable[str] = ("image", "dna"),
        image_package: str = "cropped_256",
        reduce_repeated_barcodes: bool = False,
        max_nucleotides: int | None = 660,
        target_type: str | Iterable[str] = "species",
        target_format: str = "index",
        output_format: str = "tuple",
        transform: Transform = None,
        dna_transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        size: int | None = None,
        center_crop: bool = False,
        image_output: str = "pil",
        revision: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self._source = BIOSCAN5M(
            root, split, modality, image_package, reduce_repeated_barcodes, max_nucleotides,
            target_type, target_format, output_format, transform, dna_transform, target_transform,
            download, size=size, center_crop=center_crop, image_output=image_output,
            revision=revision, storage_options=storage_options, cache_dir=cache_dir,
        )  # fmt: skip
        spread = torch.distributed.is_available() and torch.distributed.is_initialized()
        if rank is None:
            rank = torch.distributed.get_rank() if spread else 0
        if world_size is None:
            world_size = torch.distributed.get_world_size() if spread else 1
        if not 0 <= rank < world_size:
            raise UsageError(f"rank {rank} is not one of {world_size} processes")
        self._rank, self._world_size = rank, world_size
        self._shuffle, self._seed = shuffle, seed
        self._epoch = 0
        self._units_done = 0
        self._items_done = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch, and start it from its beginning.

        Args:
            epoch: Its number.
        """
        self._epoch, self._units_done, self._items_done = epoch, 0, 0

    def state_dict(self) -> dict[str, int]:
        """Where this dataset, or its copy in a worker, is."""
        return {
            "epoch": self._epoch,
            "units": self._units_done,
            "items": self._items_done,
            "consumers": self._consumer()[1],
        }

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue where a state was taken.

        Raises:
            UsageError: It was taken with another number of ranks and workers.
        """
        if state["consumers"] != self._consumer()[1]:
            raise UsageError(
                f"the state is one of {state['consumers']} workers, and there are "
                f"{self._consumer()[1]}",
                fix="continue with as many ranks and workers as before",
            )
        self._epoch = state["epoch"]
        self._units_done, self._items_done = state["units"], state["items"]

    def _consumer(self) -> tuple[int, int]:
        """Which of all workers of all ranks this is, and how many there are."""
        worker = torch.utils.data.get_worker_info()
        count, number = (worker.num_workers, worker.id) if worker else (1, 0)
        return self._rank * count + number, self._world_size * count

    def __iter__(self) -> Iterator[Any]:
        number, count = self._consumer()
        units = self._units(count)
        order = np.arange(len(units))
        if self._shuffle:
            order = np.random.default_rng((self._seed, self._epoch)).permutation(order)
        for unit in order[number::count].tolist()[self._units_done :]:
            skipped = self._items_done
            for item in self._items(units[unit], unit, skipped):
                self._items_done += 1
                yield item
            self._units_done, self._items_done = self._units_done + 1, 0
        self._units_done = 0

    def _units(self, consumers: int) -> list[Piece]:
        source = self._source
        pieces = source.items.pieces(source.configuration, source.splits)
        if len(pieces) < consumers:
            pieces = [part for piece in pieces for part in piece.divide()]
        return pieces

    def _items(self, piece: Piece, number: int, skipped: int) -> Iterator[Any]:
        items = self._source.items
        columns = ((IMAGE_COLUMN,) if items.image else ()) + items.columns
        rng = np.random.default_rng((self._seed, self._epoch, number))
        for table in piece.read(Choice(columns, keep=self._source.kept)):
            rows: Numbers = np.arange(table.num_rows)
            if self._shuffle:
                rows = rng.permutation(rows)
            begin, skipped = min(skipped, len(rows)), max(0, skipped - len(rows))
            for start in range(begin, len(rows), _BATCH):
                part = table.take(pa.array(rows[start : start + _BATCH]))
                yield from items.make(part, self._images(part), together=False)

    def _images(self, table: pa.Table) -> list[bytes]:
        if not self._source.items.image:
            return []
        return bytes_of(table[IMAGE_COLUMN].to_pylist(), table[PROCESSID].to_pylist())
