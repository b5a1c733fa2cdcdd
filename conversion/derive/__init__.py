"""Derive missing packages from other packages of the release.

A recipe says how the images are made, and a bounding box what is cut out. Each box is checked
against the measures in upstream's metadata.
Shards are read and written in ``shards`` and ``formats``.
"""
