"""Run one conversion from beginning to end: its options, its steps and its result.

The steps are implemented in other folders; here they are put in order.
Neither the command line nor any shard format is handled here.
"""
