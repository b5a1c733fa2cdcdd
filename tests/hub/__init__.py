"""A small stand-in for the Hub, which the real clients talk to."""
