"""Make packages that are missing from others of the release.

A recipe says how; a box says what is cut out; the result is proved against upstream's measures.
Reading and writing shards are other rooms.
"""
