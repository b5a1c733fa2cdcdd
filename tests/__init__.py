"""Tests; they begin by keeping what Python compiles.

The suite starts hundreds of processes. Where the environment says that no bytecode be written, each
of them would compile every module again: a third of a second a process.
"""

import os
import sys

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
