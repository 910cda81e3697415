"""Commands of the machine, bounded in time, with an error text that can be acted on."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from tests.parts.accounts import Account


class PartFailed(Exception):
    """A real part for the tests cannot be fetched, started or stopped."""


def run(
    command: Sequence[str | Path],
    *,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    account: Account | None = None,
    stdin: IO[bytes] | None = None,
) -> str:
    """Run a command to its end and return what it printed.

    Files it makes are readable by everybody (umask 022), because a server may run as another user.

    Raises:
        PartFailed: it is missing, took longer than `timeout_s` or ended with another code than 0.
    """
    try:
        finished = subprocess.run(
            command,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            capture_output=True,
            timeout=timeout_s,
            env=environment,
            cwd=folder,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=() if account else None,
            umask=0o022,
            check=False,
        )
    except FileNotFoundError as error:
        raise PartFailed(f"{command[0]} is not on this machine ({error})") from error
    except subprocess.TimeoutExpired as error:
        raise PartFailed(f"not done after {timeout_s} s: {_shown(command)}") from error
    printed = finished.stdout.decode(errors="replace")
    if finished.returncode != 0:
        complaint = finished.stderr.decode(errors="replace") + printed
        raise PartFailed(
            f"exit code {finished.returncode} from: {_shown(command)}\n{last_lines(complaint)}"
        )
    return printed


def last_lines(text: str, count: int = 20) -> str:
    """Return the end of a log."""
    return "\n".join(text.strip().splitlines()[-count:])


def _shown(command: Sequence[str | Path]) -> str:
    return shlex.join(str(word) for word in command[:12])
