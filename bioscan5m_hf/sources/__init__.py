"""Open a path or URL as data: a dataset folder or a raw release, local or remote.

Data list their splits and pieces, and have a digest of their content.
Reading shards belongs to ``readers``, building a dataset to ``builder``.
"""
