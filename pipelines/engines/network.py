"""Whether somebody answers at an address, asked before an engine asks for minutes."""

import socket

from unrote.corpus.errors import UsageError

_SECONDS = 10.0


def why_silent(address: str, setting: str) -> str | None:
    """Why nobody answers at HOST:PORT; None where somebody does. `setting` names what was set."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise UsageError(f"{setting}: {address!r} is not HOST:PORT, for example head:7077.")
    try:
        socket.create_connection((host, int(port)), timeout=_SECONDS).close()
    except (OSError, UnicodeError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None
