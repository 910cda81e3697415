"""Why a record is refused: stable codes, one sentence each."""

from enum import StrEnum


class Reason(StrEnum):
    """The code that a refused record carries."""

    MALFORMED_ROW = "MALFORMED_ROW"
    BAD_TIME = "BAD_TIME"
    MISALIGNED_TIME = "MISALIGNED_TIME"
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    BAD_NUMBER = "BAD_NUMBER"
    PRICE_NOT_POSITIVE = "PRICE_NOT_POSITIVE"
    OFF_TICK = "OFF_TICK"
    NEGATIVE_SIZE = "NEGATIVE_SIZE"
    OHLC_INCONSISTENT = "OHLC_INCONSISTENT"
    BAD_TRADE_ID = "BAD_TRADE_ID"
    MISSING_TRADE_ID = "MISSING_TRADE_ID"
    BAD_QUOTE_ID = "BAD_QUOTE_ID"
    EMPTY_QUOTE = "EMPTY_QUOTE"
    HALF_SIDE = "HALF_SIDE"
    CROSSED_QUOTE = "CROSSED_QUOTE"
    IN_FUTURE = "IN_FUTURE"
    NOT_LISTED = "NOT_LISTED"
    TOO_OLD = "TOO_OLD"
    CONTRADICTS_STORED = "CONTRADICTS_STORED"
    BAD_SYMBOL = "BAD_SYMBOL"
    BAD_NAME = "BAD_NAME"
    UNKNOWN_EXCHANGE = "UNKNOWN_EXCHANGE"
    UNKNOWN_ASSET_CLASS = "UNKNOWN_ASSET_CLASS"
    BAD_CURRENCY = "BAD_CURRENCY"
    BAD_DATE = "BAD_DATE"
    UNKNOWN_ACTION = "UNKNOWN_ACTION"
    BAD_RATIO = "BAD_RATIO"
    BAD_AMOUNT = "BAD_AMOUNT"

    @property
    def sentence(self) -> str:
        """Say it to a person."""
        return _SENTENCES[self]

    @property
    def may_be_waived(self) -> bool:
        """Whether a person may have a record stored in spite of it.

        So it is where the record can be stored and only an expectation speaks against it, or what
        was stored before. What cannot be read or placed never can be; nor what is before the
        retention horizon, where the roll-ups alone still have the candles.
        """
        return self in _WAIVABLE


_SENTENCES = {
    Reason.MALFORMED_ROW: "the row has not as many fields as the header",
    Reason.BAD_TIME: "the time cannot be read, or does not exist once only in the time zone",
    Reason.MISALIGNED_TIME: "the time is not the start of a bar of this interval",
    Reason.UNKNOWN_SYMBOL: "no instrument has this symbol at that time",
    Reason.BAD_NUMBER: "a number is missing, not finite, or beyond 20 digits before the point and"
    " 18 after it",
    Reason.PRICE_NOT_POSITIVE: "only futures, spreads and rates may have a price of zero or below",
    Reason.OFF_TICK: "a price is no multiple of the instrument's tick size",
    Reason.NEGATIVE_SIZE: "a size, volume or trade count is below zero",
    Reason.OHLC_INCONSISTENT: "low is not the lowest or high not the highest of the bar's prices",
    Reason.BAD_TRADE_ID: "the trade id is not a whole number from 0 to 2^63 - 1",
    Reason.MISSING_TRADE_ID: "the trade has no id, which its source must give",
    Reason.BAD_QUOTE_ID: "the quote id is not a whole number from 0 to 2^63 - 1",
    Reason.EMPTY_QUOTE: "the quote has neither a bid nor an ask",
    Reason.HALF_SIDE: "a side of the quote has a size without a price",
    Reason.CROSSED_QUOTE: "the bid is above the ask",
    Reason.IN_FUTURE: "the time lies further ahead than clocks may differ",
    Reason.NOT_LISTED: "the instrument was not listed yet, or not any more, on that trading date",
    Reason.TOO_OLD: "the time is before what is kept of this kind of record",
    Reason.CONTRADICTS_STORED: "the same key has other values, stored or on another line;"
    " --replace corrects by the last",
    Reason.BAD_SYMBOL: "the symbol is empty, over 64 characters, or has control characters",
    Reason.BAD_NAME: "the name is over 200 characters or has control characters",
    Reason.UNKNOWN_EXCHANGE: "the exchange is neither a MIC that exchange-calendars knows nor 24/7",
    Reason.UNKNOWN_ASSET_CLASS: "there is no such asset class",
    Reason.BAD_CURRENCY: "the currency is not a code of 3 to 10 capital letters or digits",
    Reason.BAD_DATE: "a date is not written as YYYY-MM-DD, or the delisting is before the listing",
    Reason.UNKNOWN_ACTION: "the corporate action is none of SPLIT, DIVIDEND and SPIN_OFF, or its"
    " number is not from 1 to 1000",
    Reason.BAD_RATIO: "the ratio is missing, given where the action has none, or not written as 2,"
    " 3:2 or 1/10 of numbers above zero",
    Reason.BAD_AMOUNT: "the amount is missing, given where the action has none, or below zero",
}

_WAIVABLE = frozenset(
    {
        Reason.PRICE_NOT_POSITIVE,
        Reason.OFF_TICK,
        Reason.CROSSED_QUOTE,
        Reason.IN_FUTURE,
        Reason.NOT_LISTED,
        Reason.CONTRADICTS_STORED,
    }
)
