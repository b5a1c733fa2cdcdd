"""Reach bytes wherever they lie: paths, files of this machine, servers, stores.

Nothing here knows what a release, a shard or a manifest is.
"""
