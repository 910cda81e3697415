"""Pre-aggregated candles: which there are, and how they follow the rows below them."""
