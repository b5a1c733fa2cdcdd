"""Declare what BIOSCAN-5M consists of: columns, splits, configurations, vocabularies.

Arrow schemas, features, the card and the command line are derived from these declarations. Nothing
here opens a release, a shard or a location.
"""
