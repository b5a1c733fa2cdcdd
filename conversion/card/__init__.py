"""Describe a dataset folder: card, front matter, notebook, Croissant and statistics.

Everything is made from the manifest, the metadata and, for the contact sheet, some shards. Shards
are written in ``shards`` and published in ``upload``.
"""
