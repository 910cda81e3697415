"""Tickgraph: a GraphQL analytics server for financial market data on TimescaleDB."""
