"""Provide locks and temporary folders that work across processes, even if one is killed.

Nothing here knows what the files mean.
"""
