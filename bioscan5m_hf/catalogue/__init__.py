"""The catalogue of a release: rows and images in the order of md5(processid), joined.

Columns go in, positions come out; nothing here knows of shards, of caches or of command lines.
"""
