"""Make synthetic releases in upstream's layout, for trials and tests without 39 GB of images.

Only the generator lives here; other folders read and convert releases.
"""
