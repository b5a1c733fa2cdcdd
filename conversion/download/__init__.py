"""Fetch the files of the release that packages and splits need.

A download goes on where it was interrupted, and every file is compared with its digest.
Nothing here opens an archive.
"""
