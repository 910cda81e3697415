"""Quotes: pages and buckets of them, spreads, and the quote in force when a trade happened."""
