"""The command line: ``main`` runs a command of ``commands``, ``console`` shows things.

Words become calls here and results become text; the work itself is done in the other rooms.
"""

from conversion.cli.main import program

__all__ = ["program"]
