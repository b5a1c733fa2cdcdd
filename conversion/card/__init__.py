"""What a dataset folder shows of itself: card, front matter, notebook, Croissant and statistics.

All of it is made from manifest and metadata. How shards are written or published lives elsewhere.
"""
