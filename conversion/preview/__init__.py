"""Forecast what a conversion would write and need, without writing the output.

Work files are written to a temporary folder. Nothing here touches the output.
"""
