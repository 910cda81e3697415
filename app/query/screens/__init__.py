"""Screens: which of thousands of instruments stand out on one trading date."""
