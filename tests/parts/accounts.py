"""Which user a server runs as, and the folders that this user can reach."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user of this machine."""

    uid: int
    gid: int


def server_account() -> Account | None:
    """Return whom root must become to run a server; None where we are an ordinary user already."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(uid=nobody.pw_uid, gid=nobody.pw_gid)


def can_reach(folder: Path, account: Account | None) -> bool:
    """Tell whether the account can list and enter the folder.

    Asked of the kernel in a process of that account: modes, owners and access lists of all the
    parents count, and a container's root does not see what they add up to.
    """
    if account is None:
        return os.access(folder, os.R_OK | os.X_OK)
    seen = subprocess.run(
        ["test", "-r", folder, "-a", "-x", folder],
        cwd="/",
        user=account.uid,
        group=account.gid,
        extra_groups=(),
        timeout=10,
        check=False,
    )
    return seen.returncode == 0


@contextmanager
def server_folder(wanted: Path, account: Account | None) -> Iterator[Path]:
    """Yield a folder that the server owns: `wanted`, or one under the temp dir while it is needed.

    pytest's own folders are closed to other users (mode 0700), so root's servers get the second.
    """
    wanted.mkdir(parents=True, exist_ok=True)
    if account is None:
        yield wanted
    elif can_reach(wanted, account):
        os.chown(wanted, account.uid, account.gid)
        yield wanted
    else:
        # mkdtemp and not TemporaryDirectory: its finaliser warns when a test run is cut short.
        substitute = Path(tempfile.mkdtemp(prefix="tickgraph-part-"))
        try:
            os.chown(substitute, account.uid, account.gid)
            yield substitute
        finally:
            shutil.rmtree(substitute, ignore_errors=True)
