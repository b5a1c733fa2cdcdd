"""The release as upstream publishes it: its files, zips, images and metadata.

Names are recognised here, directories of zips listed, members read and proved.
Nothing here knows shards or dataset folders.
"""
