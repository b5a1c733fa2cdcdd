"""The command line: ``main`` runs a command of ``commands``, ``console`` shows results.

Here words become calls and results become text. The work itself is done in the other folders.
"""


def program() -> int:
    """Run the command of this process; what is installed as ``bioscan5m``."""
    # Imported here, so that Ctrl-C during the import shows no traceback either.
    try:
        from conversion.cli.main import program as run
    except KeyboardInterrupt:
        return 130
    return run()
