"""Describe a dataset folder: card, front matter, notebook, Croissant and statistics.

All of it is made from the manifest and the metadata. Shards are written and published elsewhere.
"""
