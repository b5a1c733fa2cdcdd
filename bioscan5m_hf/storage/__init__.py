"""Read bytes from local files, HTTP servers, the Hub and object stores through one interface.

Nothing here knows what a release, a shard or a manifest is.
"""
