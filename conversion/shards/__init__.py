"""Build one shard, and read one back.

A shard is the unit of work, of retry, of resume and of distribution.
The modules here handle one shard at a time.
"""
