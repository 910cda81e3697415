"""The Debian archives that this machine already uses."""

import platform
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.parts.commands import PartFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One archive of a sources list; `signed_by` is a keyring's path or a key block."""

    uris: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str | None

    def stanza(self) -> str:
        """Write it in apt's deb822 form."""
        # A key block starts on the line after the name and keeps its indentation.
        place = "\n " if "\n" in (self.signed_by or "") else " "
        signed_by = f"Signed-By:{place}{self.signed_by}\n" if self.signed_by else ""
        return (
            f"Types: deb\nURIs: {self.uris}\nSuites: {' '.join(self.suites)}\n"
            f"Components: main\n{signed_by}\n"
        )


def machine_archives() -> tuple[Archive, ...]:
    """Return the archives of the machine's own release: main, updates, security.

    Raises:
        PartFailed: this is not Debian, or its list names no archive of its release.
    """
    release = platform.freedesktop_os_release()
    codename = release.get("VERSION_CODENAME", "")
    if release.get("ID") != "debian" or not codename:
        raise PartFailed(f"needs Debian 12 or newer, not {release.get('PRETTY_NAME')!r}")
    # Unnamed releases go by their class; foreign archives (a vendor's, backports) by other names.
    own_suites = re.compile(
        rf"({codename}|stable|testing|unstable|sid)(-updates|-security|-security/updates|/updates)?"
    )
    archives = tuple(
        Archive(
            uris=archive.uris,
            suites=tuple(suite for suite in archive.suites if own_suites.fullmatch(suite)),
            components=archive.components,
            signed_by=archive.signed_by,
        )
        for archive in _listed_archives()
        if "main" in archive.components and any(map(own_suites.fullmatch, archive.suites))
    )
    if not archives:
        raise PartFailed(f"the machine's sources list names no archive of Debian {codename}")
    return archives


def archive_of(suite: str) -> Archive:
    """Return the archive of another release on the mirror of this machine's own release."""
    for archive in machine_archives():
        # The security archive is another host: it has no complete release.
        if any("-" not in own and "/" not in own for own in archive.suites):
            return Archive(
                uris=archive.uris,
                suites=(suite,),
                components=("main",),
                signed_by=archive.signed_by,
            )
    raise PartFailed("the machine's sources list names no complete Debian archive")


def read_deb822(text: str) -> Iterator[Archive]:
    """Read a `.sources` file."""
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        fields = {
            name.lower(): value.strip()
            for name, value in re.findall(
                r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", paragraph, flags=re.MULTILINE
            )
        }
        if "deb" not in fields.get("types", "").split() or fields.get("enabled") == "no":
            continue
        yield Archive(
            uris=fields.get("uris", ""),
            suites=tuple(fields.get("suites", "").split()),
            components=tuple(fields.get("components", "").split()),
            signed_by=fields.get("signed-by"),
        )


def read_one_line(text: str) -> Iterator[Archive]:
    """Read a `sources.list` file."""
    for found in re.finditer(
        r"^deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#\n]+)", text, flags=re.MULTILINE
    ):
        options, uri, suite, components = found.groups()
        signed_by = re.search(r"signed-by=(\S+)", options or "", flags=re.IGNORECASE)
        yield Archive(
            uris=uri,
            suites=(suite,),
            components=tuple(components.split()),
            signed_by=signed_by.group(1) if signed_by else None,
        )


def _listed_archives() -> Iterable[Archive]:
    modern = Path("/etc/apt/sources.list.d/debian.sources")
    if modern.exists():
        yield from read_deb822(modern.read_text())
    classic = Path("/etc/apt/sources.list")
    if classic.exists():
        yield from read_one_line(classic.read_text())
