"""The converter: what a maintainer of the data runs.

A room for each step, from the release to the Hub, and the command line over them.
Nothing in ``bioscan5m_hf`` imports from here.
"""
