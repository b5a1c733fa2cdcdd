"""One module for each command: its options, the function that it calls, and what it shows.

A command does no work of its own. Code that several commands share is in the folder above.
"""
