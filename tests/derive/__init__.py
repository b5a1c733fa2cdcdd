"""Tests of deriving packages."""
