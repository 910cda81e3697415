"""Portfolios: positions or transactions in, value over time and profit and loss out.

The flow: `terms` is what is given, `checking` checks it, `placement` finds each transaction's
bucket, `currencies` the FX instruments that convert it, `closes` the prices; `books` makes entries,
`journal` and `lots` keep account of them in Decimal, `valuation` and `returns` draw the columns in
numpy, `summing` makes the answer; `read` goes through all of it.
"""
