"""The formats of a dataset folder, one class each: Parquet, Arrow, WebDataset.

What differs by format lives here and nowhere else.
Nothing here reads a release or plans shards.
"""
