"""``python -m conversion``: the command line, where no script is installed."""

import sys

from conversion.cli import program

if __name__ == "__main__":
    sys.exit(program())
