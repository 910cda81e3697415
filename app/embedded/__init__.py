"""TimescaleDB for a machine that has none: installed from npm, run by Node, used over a socket."""
