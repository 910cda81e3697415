"""Tell the audit trail of changed settings, without their secrets."""

import re
from collections.abc import Mapping
from urllib.parse import unquote

from app.storage.audit import Action, Entry, append, canonical
from app.storage.commit_lock import take_commit_lock
from app.storage.database import Connection

_MASK = "***"
_SECRET_NAME = re.compile(r"(?:^|[_.-])(?:password|passwd|secret|token|key)$", re.IGNORECASE)
# user:password@host in a URL; to the last @, since a password may hold one that is not escaped.
_USER_PART = re.compile(r"(?<=://)([^:@/?#]*):.*@", re.DOTALL)
_NAMED = re.compile(r"([?&\s]|^)([^?&\s=]+)(\s*=\s*)('(?:[^'\\]|\\.)*'|[^&\s]*)")

# configured: what the newest configuration of a subject says; 0012 has an index for it.
CONFIGURED = """
SELECT detail
FROM audit
WHERE action = 'CONFIGURATION' AND subject = %s
ORDER BY sequence DESC
LIMIT 1
"""


def record_configuration(
    connection: Connection, *, actor: str, settings: Mapping[str, str], subject: str = "settings"
) -> Entry | None:
    """Append a CONFIGURATION entry if the settings are others than the subject's last; None if not.

    Secrets are masked before they are compared or stored, so a changed password alone is no change.
    """
    masked = {name: masked_value(name, value) for name, value in settings.items()}
    if _configured(connection, subject) == canonical(masked):
        return None
    with connection.transaction():
        take_commit_lock(connection)
        if _configured(connection, subject) == canonical(masked):
            return None
        return append(
            connection, actor=actor, action=Action.CONFIGURATION, subject=subject, detail=masked
        )


def masked_value(name: str, value: str) -> str:
    """Give a setting's value without passwords: a URL's, a connection string's, or all of it."""
    if _SECRET_NAME.search(name):
        return _MASK if value else value
    return _NAMED.sub(_masked_pair, _USER_PART.sub(rf"\1:{_MASK}@", value))


def _masked_pair(pair: re.Match[str]) -> str:
    before, name, between, value = pair.groups()
    secret = unquote(name).lower() in {"password", "sslpassword"} or _SECRET_NAME.search(name)
    return f"{before}{name}{between}{_MASK if secret else value}"


def _configured(connection: Connection, subject: str) -> str | None:
    row = connection.execute(CONFIGURED, (subject,)).fetchone()
    return None if row is None else str(row[0])
