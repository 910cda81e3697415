"""Subscriptions: over WebSocket and as server-sent events, written once for all who ask alike."""
