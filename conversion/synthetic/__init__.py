"""Make synthetic releases in upstream's layout, to try everything on without 39 GB of images.

Here lives all that makes such a release up; how a release is read or converted lives elsewhere.
"""
