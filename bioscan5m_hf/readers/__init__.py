"""Readers of shards, one for each format, and the queries that they answer.

A reader gives rows of one shard: the columns asked for, of the rows that match.
Nothing here decides which shards there are.
"""
