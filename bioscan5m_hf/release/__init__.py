"""Read the release as upstream publishes it: its files, zips, images and metadata.

This folder recognises file names, lists zip directories, and reads and checks zip members.
Nothing here knows shards or dataset folders.
"""
