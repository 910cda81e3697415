"""Indicators: what there is to compute, what it needs from before a range, and its computation.

TA-Lib's functions are taken as its abstract interface describes them (`catalogue`); a `Call` is one
of them with checked parameters and inputs. `warm_up` says how many candles before the range make
its values those of the whole history, `computation` gives them.
"""
