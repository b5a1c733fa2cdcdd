"""The command line: ``main`` runs a command of ``commands``, ``console`` shows things.

Words become calls here and results become text; the work itself is done in the other rooms.
"""


def program() -> int:
    """Run the command of this process; what is installed as ``bioscan5m``."""
    # In here, since whoever presses Ctrl-C before anything has begun wants no traceback either.
    try:
        from conversion.cli.main import program as run
    except KeyboardInterrupt:
        return 130
    return run()
