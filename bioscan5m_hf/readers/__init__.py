"""Read shards, with one class for each format.

A reader gives the requested columns of the matching rows of one shard.
Nothing here decides which shards there are.
"""
