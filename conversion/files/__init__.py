"""Write files atomically, lock them, and make temporary folders.

The other folders of the package write files through these functions.
The contents of the files do not matter here.
"""
