"""Draw the pictures of the card with Pillow; the same numbers give the same bytes.

``conversion.card.statistics`` counts the numbers.
"""
