"""What every worker needs: imported once, by the process that workers are forked from."""

import gc

from conversion.start import spare_effort, spare_pandas

spare_effort()

from conversion.pools import local  # noqa: E402, F401

spare_pandas()
# What workers share with their parent is not to be written to by a search for garbage.
gc.freeze()
