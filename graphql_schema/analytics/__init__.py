"""Analytics as GraphQL shows them: statistics, indicators, screens, portfolios."""
