"""Synthetic releases in upstream's layout, to try everything on without 39 GB of images."""

from conversion.sample.options import SampleOptions, SampleSummary
from conversion.sample.release import write_sample

__all__ = ["SampleOptions", "SampleSummary", "write_sample"]
