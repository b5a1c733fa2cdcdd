"""Run shard tasks: in processes or threads of this machine, or on a Dask cluster.

This folder submits tasks, watches them and retries them. The tasks themselves are defined in
``planning`` and ``shards``.
"""
