"""The command line: ``main`` runs a command of ``commands``, and ``console`` shows results.

The command line parses arguments, calls functions of the other folders, and formats their results.
"""


def program() -> int:
    """Run the command of this process; installed as ``bioscan5m``."""
    # Imported here, so that Ctrl-C during the import shows no traceback either.
    try:
        from conversion.cli.main import program as run
    except KeyboardInterrupt:
        return 130
    return run()
