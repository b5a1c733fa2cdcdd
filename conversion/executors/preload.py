"""Import what every worker needs, once, in the process that workers are forked from."""

from conversion.executors.start import spare_effort, spare_pandas

spare_effort()
# This comes before modules that create arrays when they are imported.
spare_pandas()

from conversion.executors import local  # noqa: E402, F401
