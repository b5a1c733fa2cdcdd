"""Write files atomically: a file gets its final name only when it is complete.

The other folders of the package write files through these functions.
The contents of the files do not matter here.
"""
