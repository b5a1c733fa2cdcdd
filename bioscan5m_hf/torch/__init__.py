"""BIOSCAN-5M for PyTorch: the class of ``bioscan-dataset``, its streaming twin, and the decoder.

    from bioscan5m_hf.torch import BIOSCAN5M

    train = BIOSCAN5M("bioscan-5m", split="train", size=224, center_crop=True, image_output="torch")

What reads files lives in ``bioscan5m_hf.readers``; here is only what PyTorch needs. The module is
imported by nobody else, since torch is optional.
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
"""The mean of each colour over the training images, for 0 to 1; the value of bioscan-dataset."""

RGB_STDEV = torch.tensor([0.14205404, 0.15642502, 0.17309470])
"""The standard deviation of each colour over the training images, likewise."""

__all__ = ["BIOSCAN5M", "RGB_MEAN", "RGB_STDEV", "BIOSCAN5MStream", "Decoder", "with_decoder"]
