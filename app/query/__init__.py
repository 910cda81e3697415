"""What users ask, free of any transport: plans, candles, series, trades, latest prices."""
