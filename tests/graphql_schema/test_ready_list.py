"""Ready lists hold plain numbers, and null where there is none."""

import numpy as np
import orjson

from graphql_schema.ready_list import ready_integers, ready_numbers


def test_what_is_not_finite_is_null() -> None:
    made = ready_numbers(np.array([[0.1, np.nan], [np.inf, -np.inf]]))
    assert made == [[0.1, None], [None, None]]
    assert orjson.dumps(made) == b"[[0.1,null],[null,null]]"


def test_numbers_are_pythons_own() -> None:
    (number,) = ready_numbers(np.array([0.1]))
    (whole,) = ready_integers(np.array([2**53 + 1]))
    assert (type(number), type(whole), whole) == (float, int, 2**53 + 1)
    assert ready_numbers(np.empty((0, 3))) == []
