"""Reference data: exchanges, instruments and the symbols that they once had."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    op.execute(
        """
        CREATE TABLE exchange (
            mic text PRIMARY KEY CHECK (mic <> ''),
            calendar text NOT NULL,
            timezone text NOT NULL
        )
        """
    )
    op.execute(
        """
        CREATE TABLE instrument (
            instrument_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            symbol text NOT NULL UNIQUE CHECK (symbol <> ''),
            name text,
            exchange text NOT NULL REFERENCES exchange (mic),
            asset_class text NOT NULL CHECK (asset_class IN (
                'EQUITY', 'ETF', 'FUND', 'INDEX', 'FUTURE', 'OPTION', 'SPREAD', 'FX', 'CRYPTO',
                'BOND', 'RATE', 'COMMODITY', 'OTHER')),
            currency text NOT NULL CHECK (currency <> ''),
            tick_size numeric CHECK (tick_size > 0),
            candle_source text CHECK (candle_source IN ('TRADES', 'BARS')),
            simulated boolean NOT NULL DEFAULT false,
            listed_on date,
            delisted_on date
        )
        """
    )
    op.execute("CREATE INDEX instrument_exchange ON instrument (exchange, asset_class, symbol)")
    op.execute(
        """
        CREATE TABLE symbol_alias (
            symbol text NOT NULL CHECK (symbol <> ''),
            valid_from timestamptz NOT NULL DEFAULT '-infinity',
            valid_to timestamptz NOT NULL DEFAULT 'infinity',
            instrument_id integer NOT NULL REFERENCES instrument (instrument_id) ON DELETE CASCADE,
            PRIMARY KEY (symbol, valid_from),
            CHECK (valid_from < valid_to)
        )
        """
    )
    op.execute("CREATE INDEX symbol_alias_instrument ON symbol_alias (instrument_id)")


def downgrade() -> None:
    op.execute("DROP TABLE symbol_alias")
    op.execute("DROP TABLE instrument")
    op.execute("DROP TABLE exchange")
