"""Catalogue a release: join its rows and images, and list the mismatches.

The catalogue has the order of the specimens and the location of each image. Shards are planned in
``planning``.
"""
