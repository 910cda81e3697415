import pytest

from app.errors import ImportRefused
from app.ingestion.columns import BAR_FIELDS, INSTRUMENT_FIELDS, TRADE_FIELDS, find_columns

NONE: frozenset[str] = frozenset()
SYMBOL = frozenset({"symbol"})


@pytest.mark.parametrize(
    ("header", "places"),
    [
        (["symbol", "time", "price", "size"], (0, 1, 2, 3)),
        (["size", "price", "time", "symbol"], (3, 2, 1, 0)),
        (["Ticker", "Timestamp", "PX", "Qty"], (0, 1, 2, 3)),
        (["SYM", "Event Time", "p", "Quantity"], (0, 1, 2, 3)),
        (["x", "instrument", "ts", "price", "amount", "y"], (1, 2, 3, 4)),
        (["symbol", "date", "time", "price", "size"], (0, 2, 3, 4)),
    ],
)
def test_usual_names_are_found_in_any_order_and_case(
    header: list[str], places: tuple[int, ...]
) -> None:
    found = find_columns(header, TRADE_FIELDS, given={}, constant=NONE)
    assert tuple(found[field] for field in TRADE_FIELDS.required) == places


def test_trade_id_is_found_only_where_there_is_one() -> None:
    header = ["symbol", "time", "price", "size", "tid"]
    assert find_columns(header, TRADE_FIELDS, given={}, constant=NONE)["trade_id"] == 4
    assert "trade_id" not in find_columns(header[:4], TRADE_FIELDS, given={}, constant=NONE)


def test_one_letter_bars_are_found() -> None:
    header = ["t", "o", "h", "l", "c", "v", "vw", "n"]
    found = find_columns(header, BAR_FIELDS, given={}, constant=SYMBOL)
    order = ("time", "open", "high", "low", "close", "volume", "vwap", "trades")
    assert [found[field] for field in order] == list(range(8))


def test_a_mapped_column_goes_before_a_usual_name() -> None:
    header = ["symbol", "time", "price", "Last", "size"]
    found = find_columns(header, TRADE_FIELDS, given={"price": "Last"}, constant=NONE)
    assert found["price"] == 3


def test_instruments_need_a_symbol_only() -> None:
    assert find_columns(["symbol"], INSTRUMENT_FIELDS, given={}, constant=NONE) == {"symbol": 0}


@pytest.mark.parametrize(
    ("header", "given", "constant", "words"),
    [
        (["time", "price", "size"], {}, NONE, ["no column for 'symbol'", "give --symbol"]),
        (["symbol", "time", "size"], {}, NONE, ["no column for 'price'", "--map price=COLUMN"]),
        (["symbol", "time"], {"cost": "x"}, NONE, ["'cost' is no field", "'price'"]),
        (["symbol", "time"], {"price": "Px"}, NONE, ["no column 'Px'", "'symbol', 'time'"]),
        (["s", "t", "p", "price", "price"], {}, SYMBOL, ["2 columns 'price'"]),
        (["t", "size", "Last", "Last"], {"price": "Last"}, SYMBOL, ["2 columns 'Last'"]),
        (["t", "p", "s"], {"symbol": "t"}, SYMBOL, ["--map symbol and --symbol"]),
    ],
)
def test_what_cannot_be_found_is_refused_by_name(
    header: list[str], given: dict[str, str], constant: frozenset[str], words: list[str]
) -> None:
    with pytest.raises(ImportRefused) as refused:
        find_columns(header, TRADE_FIELDS, given=given, constant=constant)
    for each in words:
        assert each in refused.value.message


def test_a_file_of_many_columns_gives_a_short_message() -> None:
    header = [f"column_{number}" for number in range(5_000)]
    with pytest.raises(ImportRefused) as refused:
        find_columns(header, TRADE_FIELDS, given={}, constant=NONE)
    assert len(refused.value.message) < 500
