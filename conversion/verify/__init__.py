"""Verify a dataset folder against its manifest, and against the release.

Every byte is read; no note or file stamp is trusted.
Nothing here changes a folder.
"""
