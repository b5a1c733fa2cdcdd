"""One module for each command: its options, the function that it calls, and its output.

A command does no work itself. Code that several commands share is in the folder above.
"""
