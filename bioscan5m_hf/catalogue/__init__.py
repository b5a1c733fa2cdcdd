"""Sort the rows and images of a release by md5(processid), and join them.

The input is columns, the output positions; nothing here knows shards, caches or command lines.
"""
