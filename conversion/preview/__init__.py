"""Say what a conversion would write, and what it takes, without writing any of it.

Work files lie in a temporary folder. Nothing here touches the output.
"""
