"""Ranks within columns."""

import numpy as np

from app.query.statistics.returns import Floats


def ranks(columns: Floats) -> Floats:
    """Give the rank of each number within its column, from 1; equal ones share the mean rank.

    NaN comes last, in no order of its own.
    """
    order = np.argsort(columns, axis=0)
    rising = np.take_along_axis(columns, order, axis=0)
    place = np.arange(len(columns))[:, None]
    differs = rising[1:] != rising[:-1]
    edge = np.ones((1, columns.shape[1]), dtype=bool)
    first = np.maximum.accumulate(np.where(np.vstack((edge, differs)), place, 0), axis=0)
    last = np.minimum.accumulate(
        np.where(np.vstack((differs, edge)), place, len(columns))[::-1], axis=0
    )[::-1]
    found = np.empty_like(columns)
    np.put_along_axis(found, order, (first + last) / 2 + 1, axis=0)
    return found
