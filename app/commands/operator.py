"""Who runs a command."""

import getpass
import os


def operator() -> str:
    """Name the account that runs this process, as an actor of the audit trail."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's uid may have no name
        return f"cli:uid {os.getuid()}"
