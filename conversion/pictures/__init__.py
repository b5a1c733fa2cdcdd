"""The pictures of the card, drawn with Pillow alone; the same numbers give the same bytes."""
