"""The pictures of the card, drawn with Pillow alone; the same numbers give the same bytes.

Here lives how things are drawn; what is counted lives in ``conversion.card.statistics``.
"""
