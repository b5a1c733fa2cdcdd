"""Tests of release/metadata."""
