"""Serve BIOSCAN-5M to PyTorch with the interface of ``bioscan-dataset``, map-style and streaming.

    from bioscan5m_hf.torch import BIOSCAN5M

    train = BIOSCAN5M("bioscan-5m", split="train", size=224, center_crop=True, image_output="torch")

Here is only what PyTorch needs; files are read by ``bioscan5m_hf.readers``. Torch is optional, so
no other module imports this one.
"""

from __future__ import annotations

try:
    import torch
except ImportError as error:
    from bioscan5m_hf.errors import MissingDependency

    raise MissingDependency(
        "torch is not installed", fix="install it with: pip install torch"
    ) from error

from bioscan5m_hf.torch.dataset import BIOSCAN5M
from bioscan5m_hf.torch.decoder import Decoder, with_decoder
from bioscan5m_hf.torch.streaming import BIOSCAN5MStream

RGB_MEAN = torch.tensor([0.76281859, 0.76503749, 0.76373138])
"""The mean of each colour over the training images, from 0 to 1; as in bioscan-dataset."""

RGB_STDEV = torch.tensor([0.14205404, 0.15642502, 0.17309470])
"""The standard deviation of each colour over the training images; as in bioscan-dataset."""

__all__ = ["BIOSCAN5M", "RGB_MEAN", "RGB_STDEV", "BIOSCAN5MStream", "Decoder", "with_decoder"]
