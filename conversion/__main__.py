"""Run the command line with ``python -m conversion``, if no script is installed."""

import sys

from conversion.cli import program

if __name__ == "__main__":
    sys.exit(program())
