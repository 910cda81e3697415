"""Sources lists in both of apt's forms."""

from tests.parts.sources import Archive, read_deb822, read_one_line

MIRROR = "http://mirror.example/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def test_deb822_archives_are_read() -> None:
    text = (
        f"# written by hand\nTypes: deb deb-src\nURIs: {MIRROR}\n# inside\n"
        f"Suites: bookworm bookworm-updates\nComponents: main contrib\nSigned-By: {KEYRING}\n\n"
        f"Types: deb-src\nURIs: {MIRROR}\nSuites: bookworm\nComponents: main\n\n\n"
        f"Types: deb\nEnabled: no\nURIs: {MIRROR}\nSuites: sid\nComponents: main\n"
    )
    assert list(read_deb822(text)) == [
        Archive(
            uris=MIRROR,
            suites=("bookworm", "bookworm-updates"),
            components=("main", "contrib"),
            signed_by=KEYRING,
        )
    ]


def test_key_block_keeps_its_lines() -> None:
    key = " -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc=\n -----END PGP PUBLIC KEY BLOCK-----"
    text = f"Types: deb\nURIs: {MIRROR}\nSuites: trixie\nComponents: main\nSigned-By:\n{key}\n"
    (archive,) = read_deb822(text)
    assert archive.stanza().endswith(f"Signed-By:\n{key}\n\n")


def test_one_line_archives_are_read() -> None:
    text = (
        f"#deb {MIRROR} sid main\n"
        f"deb [arch=amd64 signed-by={KEYRING}] {MIRROR} bookworm main non-free # mirror\n"
        f"deb-src {MIRROR} bookworm main\n"
        f"deb {MIRROR} bookworm-updates main\n"
    )
    assert list(read_one_line(text)) == [
        Archive(
            uris=MIRROR,
            suites=("bookworm",),
            components=("main", "non-free"),
            signed_by=KEYRING,
        ),
        Archive(uris=MIRROR, suites=("bookworm-updates",), components=("main",), signed_by=None),
    ]
