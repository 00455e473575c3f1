"""What knows who somebody is, as a web process makes it at its start."""

from __future__ import annotations

from pathlib import Path

from app.wiring.accounts import read_keys
from config.keys import path_of, stamp
from config.settings import Settings


def test_keys_that_the_first_start_makes_are_no_change_of_the_key_file(tmp_path: Path) -> None:
    """Else its own keys would be learned a second later, and the log would speak of a rotation that nobody made."""
    keys, keyring = read_keys(Settings(data_dir=tmp_path))
    assert keyring.seen == stamp(path_of(tmp_path)) is not None
    assert keys.ticket_keys
