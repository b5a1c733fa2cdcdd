"""Files and folders that appear under their final name only when they are whole.

Every room writes through these.
Nothing here knows what the files mean.
"""
