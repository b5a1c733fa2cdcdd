"""Download the files of the release that the requested packages and splits need.

An interrupted download continues where it stopped, and every file is compared with its digest.
Nothing here opens an archive.
"""
