"""The command line: ``main`` finds the command, each command is a module, ``console`` shows things.

Words become calls here and results become text; the work itself is done in the other rooms.
"""

from conversion.cli.main import program

__all__ = ["program"]
