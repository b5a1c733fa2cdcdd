"""Say what is wanted of the data: a predicate on rows and a projection on columns.

Conditions are checked, read from text and applied to tables here.
Nothing here opens a file or knows a format.
"""
