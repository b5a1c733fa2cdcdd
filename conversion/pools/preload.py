"""What every worker needs: imported once, by the process that workers are forked from."""

from conversion.pools import local  # noqa: F401
from conversion.start import spare_pandas

spare_pandas()
