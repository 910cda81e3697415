"""What every command begins with: its settings, and a way to talk beside its output."""

import logging

import click

from app.settings import Settings


def settings() -> Settings:
    """Read the settings and set the log level that they ask for."""
    found = Settings.from_environment()
    logging.getLogger().setLevel(found.log_level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return found


def say(message: str) -> None:
    """Tell the person at the terminal; standard output stays the command's own."""
    click.echo(f"tickgraph: {message}", err=True)
