"""Declare what BIOSCAN-5M consists of: columns, splits, configurations, vocabularies.

The one declaration; Arrow schemas, features, the card and the command line are derived from it.
Nothing here opens a release, a shard or a location.
"""
