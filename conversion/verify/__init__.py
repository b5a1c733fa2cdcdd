"""Prove a dataset folder: against its manifest, and against the release.

Every byte is read; no note or time stamp is trusted.
Nothing here changes a folder.
"""
