"""Keep what a dataset folder holds beside its shards: manifest, lock, receipts.

Nothing outside the folder is read, written or deleted here.
Making shards and sending them are other rooms.
"""
