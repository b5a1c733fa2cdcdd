"""Write shards in the formats of a dataset folder: Parquet, Arrow and WebDataset, one class each.

Everything that depends on the format lives here.
Nothing here reads a release or plans shards.
"""
