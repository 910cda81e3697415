"""Real parts that tests and benchmarks start: TimescaleDB, Redis and a browser, from Debian."""
