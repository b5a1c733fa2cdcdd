"""Readers of shards, one class for each format.

A reader gives rows of one shard: the columns asked for, of the rows that match.
Nothing here decides which shards there are.
"""
