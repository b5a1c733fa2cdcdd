"""Send a dataset folder to the Hub or to a store, at once or shard by shard.

Everything that is sent is compared with what arrived, by its digest.
Nothing here makes a shard.
"""
