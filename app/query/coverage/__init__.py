"""Which candles are there of those that could be, and why others are missing."""
