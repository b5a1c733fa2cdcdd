"""Send a dataset folder to the Hub or to a store, at once or shard by shard.

Whatever is sent is compared with the digest of what arrived.
Nothing here makes a shard.
"""
