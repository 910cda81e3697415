"""The fast path: documents compiled once, answered in JSON text that PostgreSQL wrote.

A document that asks instruments for plain fields, candles and series becomes a plan (`plan`). A
request then costs its variables, one statement for each candle field, and the joining of bytes
(`run`). Series with indicators are numpy arrays, written as they are (`charts`). Whatever a plan
cannot express, and every error, is left to the ordinary strawberry path, which the fast one is
tested against: same document, same meaning, byte for byte of JSON.
"""
