"""Make image packages from others: crop by the bounding boxes, resize, encode."""
