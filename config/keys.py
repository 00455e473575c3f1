"""The keys that sign tickets and passes: made once, at random, and shared by every process.

They live in one file, readable by its owner only. Two processes that start at once agree on it. Several
machines share one by TIKETI_KEYS_FILE, which is then never created here. Old keys go on verifying.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE_NAME = "keys.json"
KEY_BYTES = 32
WEBHOOK = "webhook"  # what the secret of webhooks before the last rotation is retired by
TICKET_KEY_ID_MAX = 255  # one byte in every ticket


class KeysError(ValueError):
    """The key file cannot be used; the message says which file and why."""


@dataclass(frozen=True, slots=True)
class Keys:
    """`ticket_kid` and `signing_kid` name the keys that sign; all of them verify."""

    ticket_keys: dict[int, bytes] = field(repr=False)
    ticket_kid: int
    signing_keys: dict[str, Ed25519PrivateKey] = field(repr=False)
    signing_kid: str
    webhook_secret: bytes = field(repr=False)  # shared with the payment gateway, which signs its webhooks with it
    # hashes a browser's secret to a holder id; never rotated, or holders would change
    holder_key: bytes = field(repr=False)
    webhook_secret_before: bytes = field(default=b"", repr=False)  # good as well, until it is retired

    @property
    def webhook_secrets(self) -> tuple[bytes, ...]:
        """Every secret that a webhook may be signed with, the one that signs first."""
        return (self.webhook_secret, *filter(None, [self.webhook_secret_before]))


def load_keys(data_dir: Path, keys_file: Path | None = None) -> Keys:
    """Read the keys, making `<data_dir>/keys.json` first if there is none. Raises KeysError."""
    path = path_of(data_dir, keys_file)
    if keys_file is None and not path.exists():
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create(path, new_keys())
    return read_keys(path)


def create(data_dir: Path, keys_file: Path | None = None) -> Path:
    """Make a key file where there is none, to be copied to every machine. Raises KeysError if there is one."""
    path = path_of(data_dir, keys_file)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            raise KeysError(f"The key file {path} is there already. Add new keys to it: tiketi keys rotate.")
        _create(path, new_keys())
    except OSError as error:
        raise KeysError(f"The key file {path} cannot be made: {error.strerror}.") from error
    return path


def listed(keys: Keys) -> list[tuple[str, str, bool]]:
    """(kind, id, whether it signs) of every key, as `retire` names them; no key itself."""
    return [
        *(("ticket", str(kid), kid == keys.ticket_kid) for kid in sorted(keys.ticket_keys)),
        *(("signing", kid, kid == keys.signing_kid) for kid in sorted(keys.signing_keys)),
        *([("webhook", WEBHOOK, False)] if keys.webhook_secret_before else []),
    ]


def path_of(data_dir: Path, keys_file: Path | None = None) -> Path:
    """The file they are in."""
    return keys_file or data_dir / FILE_NAME


def rotate(data_dir: Path, keys_file: Path | None = None) -> Keys:
    """Add a new ticket key and a new signing key that sign from the next start on; the old ones go on verifying."""
    path = path_of(data_dir, keys_file)
    load_keys(data_dir, keys_file)  # a file from before there were webhooks gets its secret first
    with _alone(path):
        rotated = added(load_keys(data_dir, keys_file))
        temporary = _written_beside(path, _pack(rotated))
        temporary.replace(path)
        _sync_folder(path.parent)
    return rotated


def retire(kid: str, data_dir: Path, keys_file: Path | None = None) -> None:
    """Remove an old key: what it signed is believed no longer. Raises KeysError for one that signs, or is unknown."""
    path = path_of(data_dir, keys_file)
    load_keys(data_dir, keys_file)
    with _alone(path):
        keys = read_keys(path)
        if kid in (str(keys.ticket_kid), keys.signing_kid):
            raise KeysError(f"The key {kid} signs. Add another first: tiketi keys rotate.")
        old = [*map(str, keys.ticket_keys), *keys.signing_keys, *([WEBHOOK] if keys.webhook_secret_before else [])]
        if kid not in old:
            known = ", ".join(old)
            raise KeysError(f"There is no key {kid!r}; there are {known}.")
        kept = replace(
            keys,
            ticket_keys={name: key for name, key in keys.ticket_keys.items() if str(name) != kid},
            signing_keys={name: key for name, key in keys.signing_keys.items() if name != kid},
            webhook_secret_before=b"" if kid == WEBHOOK else keys.webhook_secret_before,
        )
        _written_beside(path, _pack(kept)).replace(path)
        _sync_folder(path.parent)


def new_keys() -> Keys:
    """One new key of each kind, made at random."""
    private = Ed25519PrivateKey.generate()
    kid = thumbprint(private)
    return Keys(
        ticket_keys={1: secrets.token_bytes(KEY_BYTES)},
        ticket_kid=1,
        signing_keys={kid: private},
        signing_kid=kid,
        webhook_secret=secrets.token_bytes(KEY_BYTES),
        holder_key=secrets.token_bytes(KEY_BYTES),
    )


def added(keys: Keys) -> Keys:
    """`keys` and a new one of each kind, which signs. The 256th ticket key takes the place of the oldest."""
    fresh = new_keys()
    kid = keys.ticket_kid % TICKET_KEY_ID_MAX + 1
    return replace(
        keys,
        ticket_keys={**keys.ticket_keys, kid: fresh.ticket_keys[1]},
        ticket_kid=kid,
        signing_keys={**keys.signing_keys, **fresh.signing_keys},
        signing_kid=fresh.signing_kid,
        webhook_secret=fresh.webhook_secret,
        webhook_secret_before=keys.webhook_secret,
    )


def fingerprint(keys: Keys) -> str:
    """What is the same for two processes that know the same keys, and tells nothing of them."""
    known = [
        *sorted(keys.ticket_keys.values()),
        *sorted(each.private_bytes_raw() for each in keys.signing_keys.values()),
    ]
    return hmac.new(keys.holder_key, b"".join(known), hashlib.sha256).hexdigest()[:16]


class KeyFingerprint:
    """The fingerprint of the keys in a file, looked at again when the file is another one. Safe in any thread."""

    def __init__(self, path: Path, keys: Keys) -> None:
        self._path = path
        self._seen = stamp(path)
        self._found = fingerprint(keys)

    def __call__(self) -> str:
        """The newest there is: a file that is away or damaged changes nothing."""
        seen = stamp(self._path)
        if seen != self._seen and seen is not None:
            self._seen = seen
            with suppress(KeysError):  # said in the log by those who follow the file
                self._found = fingerprint(read_keys(self._path))
        return self._found


def stamp(path: Path) -> tuple[int, int] | None:
    """What is another when the file was replaced; None if it cannot be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def thumbprint(private: Ed25519PrivateKey) -> str:
    """The key's id: the JWK thumbprint of its public half (RFC 7638, RFC 8037)."""
    public = _b64(private.public_key().public_bytes_raw())
    canonical = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": public}, separators=(",", ":"), sort_keys=True)
    return _b64(hashlib.sha256(canonical.encode()).digest())


def _create(path: Path, keys: Keys) -> None:
    temporary = _written_beside(path, _pack(keys))
    try:
        os.link(temporary, path)  # unlike a rename, this refuses when another process was first
        _sync_folder(path.parent)
    except FileExistsError:
        return  # theirs is the one: the caller reads it
    finally:
        temporary.unlink()


def _give_secret(path: Path) -> str:
    """The webhook secret of a file that was made before there were any: added once, whoever comes first."""
    with _alone(path):
        raw = json.loads(path.read_text())
        if "webhook_secret" not in raw:
            raw["webhook_secret"] = _b64(secrets.token_bytes(KEY_BYTES))
            _written_beside(path, json.dumps(raw, indent=2)).replace(path)
            _sync_folder(path.parent)
    return str(raw["webhook_secret"])


def _written_beside(path: Path, packed: str) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=".keys-", dir=path.parent)  # mode 0600
    with open(descriptor, "w") as file:
        file.write(packed)
        file.flush()
        os.fsync(descriptor)
    return Path(name)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two rotations at once would lose one of the two keys."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(path.with_suffix(".lock"), "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _pack(keys: Keys) -> str:
    return json.dumps(
        {
            "ticket_kid": keys.ticket_kid,
            "ticket_keys": {str(kid): _b64(key) for kid, key in keys.ticket_keys.items()},
            "signing_kid": keys.signing_kid,
            "signing_keys": {kid: _b64(key.private_bytes_raw()) for kid, key in keys.signing_keys.items()},
            "webhook_secret": _b64(keys.webhook_secret),
            "webhook_secret_before": _b64(keys.webhook_secret_before),
            "holder_key": _b64(keys.holder_key),
        },
        indent=2,
    )


def read_keys(path: Path) -> Keys:
    """The keys in a file that is there. Raises KeysError."""
    try:
        raw = json.loads(path.read_text())
        keys = Keys(
            ticket_keys={int(kid): _key_bytes(text) for kid, text in raw["ticket_keys"].items()},
            ticket_kid=int(raw["ticket_kid"]),
            signing_keys={
                str(kid): Ed25519PrivateKey.from_private_bytes(_key_bytes(text))
                for kid, text in raw["signing_keys"].items()
            },
            signing_kid=str(raw["signing_kid"]),
            webhook_secret=_key_bytes(raw["webhook_secret"]) if "webhook_secret" in raw else b"",
            holder_key=_key_bytes(raw["holder_key"]),
            webhook_secret_before=_key_bytes(before) if (before := raw.get("webhook_secret_before")) else b"",
        )
    except OSError as error:
        raise KeysError(f"The key file {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeysError(f"The key file {path} was not made by Tiketi or is damaged: {error!r}.") from error
    if keys.ticket_kid not in keys.ticket_keys or keys.signing_kid not in keys.signing_keys:
        raise KeysError(f"The key file {path} does not contain the signing key that it names.")
    if not all(1 <= kid <= TICKET_KEY_ID_MAX for kid in keys.ticket_keys):
        raise KeysError(f"The key file {path} has a ticket key id outside 1 to {TICKET_KEY_ID_MAX}.")
    return keys if keys.webhook_secret else replace(keys, webhook_secret=_key_bytes(_give_secret(path)))


def _key_bytes(text: str) -> bytes:
    key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key of {len(key)} bytes instead of {KEY_BYTES}")
    return key


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
