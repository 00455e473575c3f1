"""`tiketi keys`: makes the key file, lists its keys, adds new ones for signing, removes an old one."""

from __future__ import annotations

from app.run.telling import Tell
from config.keys import create, fingerprint, listed, path_of, read_keys, retire, rotate
from config.settings import Settings


def keys(settings: Settings, action: str, kid: str, tell: Tell) -> None:
    """Do one of these; `kid` is the key that `retire` removes. Raises KeysError."""
    if action == "create":
        path = create(settings.data_dir, settings.keys_file)
        tell({"made": str(path)}, f"Made {path}. Copy it to every machine and name it there: TIKETI_KEYS_FILE.")
    elif action == "list":
        _list(settings, tell)
    elif action == "retire":
        retire(kid, settings.data_dir, settings.keys_file)
        tell({"retired": kid}, f"What the key {kid} signed is believed no longer.")
    else:
        made = rotate(settings.data_dir, settings.keys_file)
        tell(
            {"ticketKid": made.ticket_kid, "signingKid": made.signing_kid},
            f"Ticket key {made.ticket_kid} and signing key {made.signing_kid} are used from the next start on.",
        )


def _list(settings: Settings, tell: Tell) -> None:
    found = read_keys(path_of(settings.data_dir, settings.keys_file))
    for kind, kid, signs in listed(found):
        tell({"kind": kind, "kid": kid, "signs": signs}, f"{kind:<8} {kid}{'  signs' if signs else ''}")
    of_all = fingerprint(found)
    tell({"fingerprint": of_all}, f"Fingerprint of all: {of_all}, the same on every machine.")
