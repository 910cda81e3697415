"""How odd rows are beside their recent past: one function a rule.

Each takes rows and their thresholds (n,), and gives the places and scores of the rows that reach
them; whether a row is new, or has a past, is for the function to ask where it matters.
"""

import numpy as np

from app.validation.anomaly_rows import MAD, NO_ID, TINY, WINDOW, Floats, Places, Rows

Found = tuple[Places, Floats]

# Splits as new shares for old ones; what is 4:3 or nearer to 1:1 happens without a split, too.
SPLITS = (
    *((new, 1) for new in (2, 3, 4, 5, 6, 7, 8, 10, 15, 20)),
    (3, 2),
    *((1, old) for old in (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 50, 100)),
)
SPLIT_TOLERANCE = 0.03  # |log| between the first price and what the split alone would make it
SPLIT_VOLUME = 4.0  # a split's day has at most so many times the shares that its ratio explains
_LEAST_SPLIT = 0.35  # below the |log| of 3:2 less the tolerance

MAX_WAIT = 10.0  # how many times larger a move may be after a pause
LEAST_SPREAD = {"TRADES": 0.65, "BARS": 0.3}  # the least scale of log sizes
HABIT = 0.9  # the share of ids that followed each other, for ids to be consecutive by habit
_CONTENT = ("price", "size", "open", "high", "low", "bid", "ask", "bid_size", "ask_size")
_BACK = 4  # ids may be out of order by so many rows; less than the least history


def price_jump(rows: Rows, threshold: Floats) -> Found:
    """|log return| over MAD around zero of the 64 returns before, from both rows before.

    The further of two rows before is no witness: a lone bad price is odd, the return from it is
    not. After a pause moves grow with the root of its length, as those of a random walk.
    """
    moves = rows.moves
    some = (moves >= threshold * rows.least_moves) & rows.judged
    k = rows.candidates(some, moves, threshold * MAD, skip=1)
    if not len(k):
        return k, np.zeros(0)
    scale = np.maximum(MAD * rows.medians(moves, k, skip=1), rows.least_moves[k]) * _wait(rows, k)
    level = rows.level("price")
    move = np.minimum(moves[k], np.abs(level[k] - level[k - 2]))
    reached = move >= threshold[k] * scale
    k, move, scale = k[reached], move[reached], scale[reached]
    unit = np.maximum(np.abs(rows["price"][k - 1]), TINY)
    if rows.linear is not None:
        unit[rows.linear[k]] = 1.0
    score = move / np.maximum(scale, rows.steps(k) / unit)
    reached = score >= threshold[k]
    return k[reached], score[reached]


def _wait(rows: Rows, k: Places) -> Floats:
    time = rows["time"]
    first = np.maximum(k - WINDOW - 1, k - rows.known[k])
    usual = (time[k - 1] - time[first]) / (k - 1 - first)
    pause = (time[k] - time[k - 1]) / np.maximum(usual, 1.0)
    wait: Floats = np.clip(np.sqrt(pause), 1.0, MAX_WAIT)
    return wait


def split_like(rows: Rows, threshold: Floats) -> Found:
    """The first move of a trading date over MAD, where it is the ratio of a usual split.

    For bars it is that of the open, and the day's volume must not be that of a crash.
    """
    dates = rows["date"]
    first = np.flatnonzero((np.diff(dates, prepend=dates[:1]) != 0) & rows.judged)
    price, before = rows["open" if "open" in rows else "price"][first], rows["price"][first - 1]
    fits = (price > 0) & (before > 0) & np.isfinite(threshold[first])
    k, ratio = first[fits], np.log(price[fits] / before[fits])
    large = np.abs(ratio) > _LEAST_SPLIT
    k, ratio = k[large], ratio[large]
    if not len(k):
        return k, np.zeros(0)
    usual = np.array([new / old for new, old in SPLITS])
    away = np.abs(ratio[:, None] + np.log(usual))
    nearest = away.argmin(axis=1)
    like = away.min(axis=1) <= SPLIT_TOLERANCE
    if "open" in rows:
        shares = np.maximum(usual[nearest], 1.0) * rows.medians(rows["size"], k)
        like &= rows["size"][k] <= SPLIT_VOLUME * shares
    k, ratio = k[like], ratio[like]
    scale = np.maximum(MAD * rows.medians(rows.moves, k, skip=1), rows.least_moves[k])
    score = np.abs(ratio) / scale
    reached = score >= threshold[k]
    return k[reached], score[reached]


def volume_spike(rows: Rows, threshold: Floats) -> Found:
    """log(size) above the median of the 64 before, over their MAD."""
    size = rows["size"]
    least = LEAST_SPREAD["BARS" if "open" in rows else "TRADES"]
    times = np.exp(threshold * least)
    k = rows.candidates(rows.judged & (size > 0), size, times)
    middle = rows.medians(size, k)
    above = (middle > 0) & (size[k] >= times[k] * middle)
    k, middle = k[above], np.log(middle[above])
    if not len(k):
        return k, np.zeros(0)
    logs = np.log(np.maximum(size, np.finfo(np.float64).tiny))
    spread = np.maximum(MAD * rows.deviations(logs, k, middle), least)
    score = (logs[k] - middle) / spread
    reached = score >= threshold[k]
    return k[reached], score[reached]


def range_spike(rows: Rows, threshold: Floats) -> Found:
    """log(high / low) over the median of the 64 before."""
    ranges = rows.level("high") - rows.level("low")
    some = rows.judged & (ranges >= threshold * rows.least_moves)
    k = rows.candidates(some, ranges, threshold)
    score = ranges[k] / np.maximum(rows.medians(ranges, k), rows.least_moves[k])
    reached = score >= threshold[k]
    return k[reached], score[reached]


def stale_repeat(rows: Rows, threshold: Floats) -> Found:
    """How many rows in a row are the same, once, where they become too many."""
    names = [name for name in _CONTENT if name in rows]
    same = np.ones(len(rows), dtype=np.bool_)
    same[rows.starts] = False
    for name in names:
        same[1:] &= rows[name][1:] == rows[name][:-1]
    if "open" in rows:  # what a vendor fills in for an idle minute is no news, and not stale
        same &= (rows["size"] > 0) | (rows["high"] > rows["low"])
    firsts = np.flatnonzero(~same)
    ends = np.append(firsts[1:], len(rows))
    run = threshold[firsts]
    long = ends - firsts >= run
    k = firsts[long] + run[long].astype(np.int64) - 1
    return k, run[long]


def sequence_gap(rows: Rows, threshold: Floats) -> Found:
    """How many ids are missing before this one, where ids are consecutive by habit."""
    ids = rows["row_id"]
    steps = np.diff(ids, prepend=ids[:1])
    k = np.flatnonzero((steps > 1) & (ids != NO_ID) & rows.judged)
    if not len(k):
        return k, np.zeros(0)
    ones = np.cumsum(steps == 1)
    first = np.maximum(k - WINDOW - 1, k - rows.known[k])
    k = k[ones[k - 1] - ones[first] >= HABIT * (k - 1 - first)]
    highest = np.max([ids[k - back] for back in range(1, _BACK + 1)], axis=0)
    missing = (ids[k] - highest - 1).astype(np.float64)
    reached = missing >= threshold[k]
    return k[reached], missing[reached]


def locked_quote(rows: Rows, threshold: Floats) -> Found:
    """1 where bid and ask become equal."""
    locked = rows["bid"] == rows["ask"]
    before = np.roll(locked, 1)
    before[rows.starts] = False
    k = np.flatnonzero(locked & ~before & (threshold <= 1.0))
    return k, np.ones(len(k))
