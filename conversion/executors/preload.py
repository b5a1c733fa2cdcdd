"""Import what every worker needs, once, in the process that workers are forked from."""

from conversion.executors.start import spare_effort, spare_pandas

spare_effort()
# Before the modules that make arrays as they are imported.
spare_pandas()

from conversion.executors import local  # noqa: E402, F401
