"""One module for each command: what it may be asked, whom it calls, what it shows.

A command does no work of its own; what several commands share is in the room above.
"""
