"""Statistics of values over time: of one instrument, against another, rolling, of many together.

All but `reading` are pure functions over numpy arrays; a portfolio's values will do as well.
"""
