"""Describe which data are requested: a predicate on rows and a projection on columns.

Conditions are parsed, checked and applied to tables here.
Nothing here opens a file or knows a format.
"""
