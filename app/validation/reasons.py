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
    NEGATIVE_SIZE = "NEGATIVE_SIZE"
    OHLC_INCONSISTENT = "OHLC_INCONSISTENT"
    BAD_TRADE_ID = "BAD_TRADE_ID"
    CONTRADICTS_STORED = "CONTRADICTS_STORED"
    BAD_SYMBOL = "BAD_SYMBOL"
    BAD_NAME = "BAD_NAME"
    UNKNOWN_EXCHANGE = "UNKNOWN_EXCHANGE"
    UNKNOWN_ASSET_CLASS = "UNKNOWN_ASSET_CLASS"
    BAD_CURRENCY = "BAD_CURRENCY"

    @property
    def sentence(self) -> str:
        """Say it to a person."""
        return _SENTENCES[self]


_SENTENCES = {
    Reason.MALFORMED_ROW: "the row has not as many fields as the header",
    Reason.BAD_TIME: "the time cannot be read, or does not exist once only in the time zone",
    Reason.MISALIGNED_TIME: "the time is not the start of a bar of this interval",
    Reason.UNKNOWN_SYMBOL: "no instrument has this symbol at that time",
    Reason.BAD_NUMBER: "a number is missing, not finite, or beyond 20 digits before the point and"
    " 18 after it",
    Reason.PRICE_NOT_POSITIVE: "only futures, spreads and rates may have a price of zero or below",
    Reason.NEGATIVE_SIZE: "a size, volume or trade count is below zero",
    Reason.OHLC_INCONSISTENT: "low is not the lowest or high not the highest of the bar's prices",
    Reason.BAD_TRADE_ID: "the trade id is not a whole number from 0 to 2^63 - 1",
    Reason.CONTRADICTS_STORED: "the same key is stored with other values; --replace corrects it",
    Reason.BAD_SYMBOL: "the symbol is empty, over 64 characters, or has control characters",
    Reason.BAD_NAME: "the name is over 200 characters or has control characters",
    Reason.UNKNOWN_EXCHANGE: "the exchange is neither a MIC that exchange-calendars knows nor 24/7",
    Reason.UNKNOWN_ASSET_CLASS: "there is no such asset class",
    Reason.BAD_CURRENCY: "the currency is not a code of 3 to 10 capital letters or digits",
}
