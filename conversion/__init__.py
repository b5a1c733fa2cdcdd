"""The converter: what a maintainer of the data runs."""
