"""Fetch a release: which files are wanted, from which mirror, and their transfer."""
