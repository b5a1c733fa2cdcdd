"""Upload a dataset folder to the Hub or to a store, at once or shard by shard.

Every uploaded file is verified by its digest after it has arrived.
Nothing here makes a shard.
"""
