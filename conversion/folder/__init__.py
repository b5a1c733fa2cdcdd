"""Manage the files of a dataset folder other than its shards: manifest, lock and receipts.

Nothing outside the folder is read, written or deleted here.
Shards are made in ``shards`` and uploaded in ``upload``.
"""
