"""Convert, verify and publish a release; used by maintainers of the data.

There is a folder for each step from the release to the Hub, and one for the command line.
Nothing in ``bioscan5m_hf`` imports from here.
"""
