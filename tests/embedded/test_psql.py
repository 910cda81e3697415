import subprocess

from tests.parts.postgres import timescaledb_programs


def psql(url: str, script: str) -> str:
    outcome = subprocess.run(
        [
            str(timescaledb_programs() / "psql"),
            "--no-psqlrc",
            "--set=ON_ERROR_STOP=1",
            "--quiet",
            "-At",
            url,
        ],
        input=script,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def test_psql_makes_a_continuous_aggregate(url: str) -> None:
    script = """
    CREATE TABLE tick (at timestamptz NOT NULL, symbol int, price numeric);
    SELECT count(*) FROM create_hypertable('tick', 'at');
    \\copy tick FROM STDIN CSV
2024-01-01 00:00:10+00,1,5
2024-01-01 00:00:20+00,1,7
\\.
    CREATE MATERIALIZED VIEW minute WITH (timescaledb.continuous) AS
      SELECT time_bucket('1 minute', at) AS start, symbol, first(price, at), max(price)
      FROM tick GROUP BY 1, 2 WITH NO DATA;
    CALL refresh_continuous_aggregate('minute', '2024-01-01', '2024-01-02');
    SELECT * FROM minute;
    \\d tick
    DROP MATERIALIZED VIEW minute;
    DROP TABLE tick;
    """
    output = psql(url, script).splitlines()
    assert "2024-01-01 00:00:00+00|1|5|7" in output
    assert any(line.startswith("at|timestamp with time zone") for line in output)


def test_psql_describes_and_pages_with_cursors(url: str) -> None:
    script = "\\set FETCH_COUNT 10\nSELECT generate_series(1, 95);\n\\dx\n\\dn\n"
    output = psql(url, script).splitlines()
    assert output[:95] == [str(i) for i in range(1, 96)]
    assert any(line.startswith("timescaledb|") for line in output)
    assert any(line.startswith("public|") for line in output)
