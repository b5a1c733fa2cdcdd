"""Locks and temporary folders that other processes heed, also after one was killed.

Nothing here knows what the files mean.
"""
