"""Debian packages, unpacked in a folder of their own: nothing is installed on the machine."""

import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts.accounts import Account, can_reach
from tests.parts.apt import private_apt
from tests.parts.commands import PartFailed, run
from tests.parts.sources import archive_of, machine_archives


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Packages that are wanted together.

    With a suite they come alone and must be complete down to the C library. Without one they come
    from the machine's own release, together with the dependencies that the machine lacks.
    """

    name: str
    packages: tuple[str, ...]
    suite: str | None = None
    left_out: tuple[str, ...] = ()


def unpacked(part: Part, *, reader: Account | None, finish: Callable[[Path, Path], None]) -> Path:
    """Return the folder with the part's `root/`; fetch, unpack and finish it the first time.

    `finish(building, final)` completes the unpacked folder while it is still at `building`;
    it will live at `final`. `packages.txt` beside the root says which versions there are.
    """
    cache = _cache_folder(reader)
    # The folder is part of the name: a binary's loader is an absolute path.
    asked = hashlib.sha256(f"{part!r} {cache} v1".encode()).hexdigest()[:12]
    final = cache / f"{part.name}-{asked}"
    if final.exists():
        return final
    with _locked(final.with_suffix(".lock")):
        if final.exists():
            return final
        building = final.with_suffix(".partial")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(mode=0o755)
        try:
            _fetch_and_unpack(part, building)
            finish(building, final)
            building.rename(final)
        except PartFailed as error:
            raise PartFailed(f"cannot make the part {part.name!r}: {error}") from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return final


def _fetch_and_unpack(part: Part, building: Path) -> None:
    apt_folder = building / "apt"
    if part.suite is None:
        apt = private_apt(apt_folder, machine_archives(), machine_status=True)
        debs = apt.download_with_missing(part.packages)
    else:
        apt = private_apt(apt_folder, [archive_of(part.suite)], machine_status=False)
        debs = apt.download(part.packages)
    root = building / "root"
    root.mkdir(mode=0o755)
    for deb in debs:
        _unpack(deb, root, part.left_out)
    (building / "packages.txt").write_text("".join(f"{deb.stem}\n" for deb in debs))
    shutil.rmtree(apt_folder)


def _unpack(deb: Path, root: Path, left_out: Sequence[str]) -> None:
    always = ("./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./usr/share/lintian")
    # Another owner or a set-user-id bit (Chromium's sandbox has one) has no place in a cache.
    extract = ["tar", "--extract", f"--directory={root}", "--no-same-owner"]
    extract += ["--no-same-permissions", *(f"--exclude={path}" for path in (*always, *left_out))]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as archive:
        run(extract, timeout_s=120, stdin=archive.stdout)
    if archive.returncode != 0:
        raise PartFailed(f"dpkg-deb cannot read {deb.name} (exit code {archive.returncode})")


def _cache_folder(reader: Account | None) -> Path:
    """Return `.cache/parts` of this repository, or a folder under the temp dir.

    The second when the account that will run the part cannot enter the repository.
    """
    cache = Path(__file__).resolve().parents[2] / ".cache" / "parts"
    cache.mkdir(parents=True, exist_ok=True)
    if can_reach(cache, reader):
        return cache
    substitute = Path(tempfile.gettempdir()) / f"tickgraph-parts-{os.geteuid()}"
    substitute.mkdir(mode=0o755, exist_ok=True)
    found = substitute.lstat()
    # The temp dir is everybody's: take nothing that somebody else could have put there.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PartFailed(f"{substitute} belongs to somebody else; remove it")
    return substitute


@contextmanager
def _locked(lock: Path, timeout_s: float = 900) -> Iterator[None]:
    """Hold a file lock; the kernel frees it when its holder dies."""
    give_up_at = time.monotonic() + timeout_s
    with lock.open("w") as held:
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > give_up_at:
                    raise PartFailed(f"{lock.name} was held for {timeout_s} s") from error
                time.sleep(0.2)
        yield
