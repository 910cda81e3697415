"""Raw rows and the ways to reach them: connections, instruments, trades, bars, the batch log."""
