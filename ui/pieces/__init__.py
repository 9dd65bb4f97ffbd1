"""Pieces that several pages of the console show."""
