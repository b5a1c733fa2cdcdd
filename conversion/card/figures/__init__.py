"""Draw the pictures of the card with Pillow alone; the same numbers give the same bytes.

Counting lives in ``conversion.card.statistics``.
"""
