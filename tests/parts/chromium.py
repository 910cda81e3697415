"""A Chromium that Playwright can drive: the machine's own, or Debian's unpacked in the cache."""

from pathlib import Path

from tests.parts.commands import PartFailed, run
from tests.parts.debian import Part, unpacked

# From the machine's own release: the libraries that it has already are not fetched again.
# Left out: graphics drivers (0.4 GB with the compiler that they need), icons, system services.
CHROMIUM = Part(
    name="chromium",
    packages=("chromium", "fonts-dejavu-core"),
    left_out=(
        *("./usr/lib/*-linux-gnu*/dri", "./usr/lib/*-linux-gnu*/libLLVM*", "*/libLLVM.so*"),
        *("./usr/lib/*-linux-gnu*/libgallium*", "./usr/lib/*-linux-gnu*/libz3.so*"),
        *("./usr/lib/llvm-*", "./usr/lib/chromium/libVkLayer_*", "./usr/share/icons"),
        *("./lib/systemd", "./lib/udev", "./usr/lib/systemd", "./usr/lib/udev"),
        *("./usr/lib/*-linux-gnu*/systemd", "./etc", "./usr/bin", "./usr/sbin", "./var"),
    ),
)

# For a page of our own on the loopback address: no GPU, and not a word to the outside.
CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# Libraries in folders of their own (nss, pulseaudio) are found by a path compiled in, which is the
# machine's. Every path is relative to the script, so that a copy of the folder works as well.
_WRAPPER = """\
#!/bin/sh
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
libraries=
for folder in "$here"/root/usr/lib/*-linux-gnu* "$here"/root/lib/*-linux-gnu*; do
    if [ -d "$folder" ]; then
        libraries=${libraries:+$libraries:}$folder:$folder/nss:$folder/pulseaudio
    fi
done
LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
FONTCONFIG_FILE=$here/fonts.conf
export LD_LIBRARY_PATH FONTCONFIG_FILE
exec "$here/root/usr/lib/chromium/chromium" "$@"
"""

_FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir prefix="relative">root/usr/share/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
  <alias><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
  <alias><family>serif</family><prefer><family>DejaVu Serif</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
"""


def chromium_executable() -> Path:
    """Return what to start; where the machine has no Chromium, fetch it the first time.

    Raises:
        PartFailed: the packages cannot be had.
    """
    installed = Path("/usr/bin/chromium")
    if installed.exists():
        return installed
    # It runs as the user of the tests, so nobody else must be able to read it.
    return unpacked(CHROMIUM, reader=None, finish=_finish) / "chromium"


def _finish(building: Path, final: Path) -> None:
    if list(building.glob("root/**/libc.so.6")):
        raise PartFailed("chromium needs a newer C library: upgrade the machine's libc6")
    (building / "fonts.conf").write_text(_FONTS)
    wrapper = building / "chromium"
    wrapper.write_text(_WRAPPER)
    wrapper.chmod(0o755)
    # Fails while a library is still missing.
    run([wrapper, "--version"], timeout_s=60)
