"""Import what every worker needs, once, in the process that workers are forked from."""

from conversion.executors.start import keep_pandas_out, tune_libraries

tune_libraries()
# This comes before modules that create arrays when they are imported.
keep_pandas_out()

from conversion.executors import local  # noqa: E402, F401
