"""Describe a dataset folder: card, front matter, notebook, Croissant and statistics.

All of it is made from manifest and metadata. How shards are written or published lives elsewhere.
"""
