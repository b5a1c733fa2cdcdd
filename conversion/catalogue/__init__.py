"""The catalogue of a conversion: rows and images of a release, joined, and what does not fit.

It says which specimen stands where and where its image lies; nothing here cuts shards.
"""
