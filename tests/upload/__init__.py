"""Tests of upload."""
