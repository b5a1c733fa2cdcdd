"""Plan which rows and images go into which shard.

These are pure functions from sizes and digests to tasks. Nothing here reads or writes a file.
"""
