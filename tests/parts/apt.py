"""A private apt: its own state, lists and cache, with the machine's proxy, keys and mirror."""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.parts.commands import PartFailed, run
from tests.parts.sources import Archive


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateApt:
    """A folder that stands for apt's places in /var and /etc."""

    folder: Path

    def download(self, packages: Sequence[str]) -> list[Path]:
        """Fetch exactly these packages."""
        downloads = self.folder / "downloads"
        downloads.mkdir()
        self._apt_get("download", *packages, folder=downloads)
        return sorted(downloads.glob("*.deb"))

    def download_with_missing(self, packages: Sequence[str]) -> list[Path]:
        """Fetch these packages and those of their dependencies that the machine lacks."""
        self._apt_get("install", "--download-only", "--yes", *packages, folder=self.folder)
        return sorted((self.folder / "archives").glob("*.deb"))

    def update(self) -> None:
        """Fetch the package lists; apt verifies their signatures and, with them, each package."""
        # Without Error-Mode apt-get ends with 0 when a list could not be had.
        self._apt_get("update", "--option=APT::Update::Error-Mode=any", folder=self.folder)

    def _apt_get(self, *arguments: str, folder: Path) -> None:
        environment = {**os.environ, "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C"}
        command = ["apt-get", "--quiet=2", *arguments]
        run(command, timeout_s=600, environment=environment, folder=folder)


def private_apt(folder: Path, archives: Sequence[Archive], *, machine_status: bool) -> PrivateApt:
    """Lay out a private apt in an empty folder and fetch its package lists.

    `machine_status` lets it know what the machine has installed; without, nothing is.
    """
    for needed in ("lists/partial", "archives/partial", "sources.list.d"):
        (folder / needed).mkdir(parents=True)
    status = folder / "status"
    if machine_status:
        shutil.copyfile("/var/lib/dpkg/status", status)
    else:
        status.touch()
    stanzas = "".join(archive.stanza() for archive in archives)
    (folder / "sources.list.d" / "debian.sources").write_text(stanzas)
    (folder / "apt.conf").write_text(_configuration(folder))
    apt = PrivateApt(folder=folder)
    apt.update()
    return apt


def _configuration(folder: Path) -> str:
    if '"' in str(folder):
        raise PartFailed(f"apt cannot use a folder with a quotation mark in its name: {folder}")
    architecture = run(["dpkg", "--print-architecture"], timeout_s=10).strip()
    return f"""
{_machine_transport()}
Dir::State "{folder}";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{folder}/sources.list.d";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
"""


def _machine_transport() -> str:
    """Return how the machine's apt reaches its mirror: proxies, certificates, clock checks.

    Taken from apt's own dump and not by including /etc/apt/apt.conf.d, whose hooks would run
    (PackageKit's, docker-clean's) and whose index targets would be fetched.
    """
    machine = {name: value for name, value in os.environ.items() if name != "APT_CONFIG"}
    dump = run(["apt-config", "dump"], timeout_s=10, environment=machine)
    kept = re.compile(r"Acquire::(https?|Check-Date|Check-Valid-Until|ForceIPv[46])\b", re.I)
    return "\n".join(line for line in dump.splitlines() if kept.match(line))
