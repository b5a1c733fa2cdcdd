"""Planning: which rows and images go into which shard.

Pure: sizes and digests go in, tasks come out. Nothing here reads or writes a file.
"""
