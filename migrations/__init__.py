"""Frozen database changes; never imports app."""
