"""Provide ``BIOSCAN5MStream``, an iterable ``BIOSCAN5M`` for data that are read over a network."""

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
    """An iterable dataset whose shards are divided among all ranks and their workers.

    Each specimen goes to one worker of one rank. If there are fewer shards than workers of all
    ranks, row groups are divided instead. Ranks may get different numbers of items. Each iteration
    starts at the beginning of the epoch, also after one that was left early; the first one after
    ``load_state_dict`` continues after the last item of the state, also in torchdata's
    ``StatefulDataLoader``, with the same number of ranks and workers.

    All other arguments are those of ``BIOSCAN5M``.

    Args:
        root: The data, as in ``BIOSCAN5M``.
        shuffle: Read the shards in another order in each epoch, and shuffle the rows within each
            part that is read at once.
        seed: The seed of the order, together with the epoch.
        rank: The number of this process; by default that of ``torch.distributed``, else 0.
        world_size: The number of processes; by default that of ``torch.distributed``, else 1.

    Raises:
        UsageError: The rank is not below ``world_size``.
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
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch, and start at its beginning.

        Args:
            epoch: The number of the epoch.
        """
        self._epoch = epoch
        self._place(0, 0)

    def _place(self, units: int, items: int) -> None:
        """Choose where the next iteration starts."""
        self._start = self._units_done, self._items_done = units, items

    def state_dict(self) -> dict[str, int]:
        """The position of the last iteration of this dataset, or of its copy in a worker."""
        return {
            "epoch": self._epoch,
            "units": self._units_done,
            "items": self._items_done,
            "consumers": self._consumer()[1],
        }

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next iteration continue at the position of a state.

        Raises:
            UsageError: The state comes from another number of ranks and workers.
        """
        if state["consumers"] != self._consumer()[1]:
            raise UsageError(
                f"the state was saved with {state['consumers']} workers, and there are now "
                f"{self._consumer()[1]}",
                fix="continue with as many ranks and workers as before",
            )
        self._epoch = state["epoch"]
        self._place(state["units"], state["items"])

    def _consumer(self) -> tuple[int, int]:
        """The number of this worker among all workers of all ranks, and how many there are."""
        worker = torch.utils.data.get_worker_info()
        count, number = (worker.num_workers, worker.id) if worker else (1, 0)
        return self._rank * count + number, self._world_size * count

    def __iter__(self) -> Iterator[Any]:
        (self._units_done, self._items_done), self._start = self._start, (0, 0)
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
