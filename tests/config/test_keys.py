"""The keys: made once, private, shared by whoever starts at once, and never lost by a rotation."""

from __future__ import annotations

import json
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.keys import Keys, KeysError, added, load_keys, new_keys, retire, rotate

CONTENDERS = 16


def raw(keys: Keys) -> tuple[dict[int, bytes], dict[str, bytes]]:
    return keys.ticket_keys, {kid: key.private_bytes_raw() for kid, key in keys.signing_keys.items()}


def test_the_first_load_makes_the_keys_and_later_loads_read_the_same(tmp_path: Path) -> None:
    first = load_keys(tmp_path / "data")
    assert raw(load_keys(tmp_path / "data")) == raw(first)
    assert len(first.ticket_keys[first.ticket_kid]) == 32


def test_only_the_owner_can_read_the_key_file_and_enter_its_folder(tmp_path: Path) -> None:
    load_keys(tmp_path / "data")
    assert stat.S_IMODE((tmp_path / "data" / "keys.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_processes_that_start_at_once_agree_on_one_set_of_keys(tmp_path: Path) -> None:
    gate = threading.Barrier(CONTENDERS)

    def start() -> Keys:
        gate.wait()
        return load_keys(tmp_path)

    with ThreadPoolExecutor(CONTENDERS) as pool:
        loaded = [future.result() for future in [pool.submit(start) for _ in range(CONTENDERS)]]
    assert all(raw(keys) == raw(loaded[0]) for keys in loaded)
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_a_rotation_signs_with_new_keys_and_keeps_the_old_ones_for_verification(tmp_path: Path) -> None:
    before = load_keys(tmp_path)
    after = rotate(tmp_path)
    assert raw(load_keys(tmp_path)) == raw(after)
    assert after.ticket_kid == 2
    assert after.signing_kid != before.signing_kid
    assert raw(before)[0].items() <= raw(after)[0].items()
    assert raw(before)[1].items() <= raw(after)[1].items()


def test_rotations_at_once_lose_no_key(tmp_path: Path) -> None:
    load_keys(tmp_path)
    gate = threading.Barrier(CONTENDERS)

    def turn() -> None:
        gate.wait()
        rotate(tmp_path)

    with ThreadPoolExecutor(CONTENDERS) as pool:
        for future in [pool.submit(turn) for _ in range(CONTENDERS)]:
            future.result()
    keys = load_keys(tmp_path)
    assert sorted(keys.ticket_keys) == list(range(1, CONTENDERS + 2))
    assert len(keys.signing_keys) == CONTENDERS + 1


def test_the_ticket_key_after_the_255th_takes_the_place_of_the_oldest() -> None:
    keys = new_keys()
    oldest = keys.ticket_keys[1]
    for _ in range(255):
        keys = added(keys)
    assert keys.ticket_kid == 1
    assert keys.ticket_keys[1] != oldest
    assert len(keys.ticket_keys) == 255


def test_a_shared_key_file_is_read_and_never_made(tmp_path: Path) -> None:
    shared = tmp_path / "shared.json"
    with pytest.raises(KeysError, match=r"shared\.json cannot be read: No such file"):
        load_keys(tmp_path / "data", shared)
    load_keys(tmp_path).ticket_keys  # noqa: B018  # makes keys.json
    (tmp_path / "keys.json").rename(shared)
    assert load_keys(tmp_path / "data", shared).ticket_kid == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"ticket_keys": {}, "ticket_kid": 1, "signing_keys": {}, "signing_kid": "x"}',
        '{"ticket_keys": {"1": "c2hvcnQ"}, "ticket_kid": 1, "signing_keys": {}, "signing_kid": "x"}',
        '{"ticket_keys": {"0": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, "ticket_kid": 0,'
        ' "signing_keys": {"x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, "signing_kid": "x"}',
    ],
)
def test_a_damaged_key_file_is_named_and_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(KeysError, match=r"keys\.json"):
        load_keys(tmp_path)
    assert (tmp_path / "keys.json").read_text() == text


def test_keys_are_not_shown_when_printed() -> None:
    keys = new_keys()
    assert "ticket_keys" not in repr(keys)


def test_a_key_file_from_before_webhooks_gets_one_secret_and_keeps_its_keys(tmp_path: Path) -> None:
    made = load_keys(tmp_path)
    path = tmp_path / "keys.json"
    raw = json.loads(path.read_text())
    del raw["webhook_secret"]
    path.write_text(json.dumps(raw))
    first, second = load_keys(tmp_path), load_keys(tmp_path)
    assert first.webhook_secret == second.webhook_secret
    assert len(first.webhook_secret) == 32
    assert (first.ticket_keys, first.signing_kid) == (made.ticket_keys, made.signing_kid)
    assert rotate(tmp_path).webhook_secret_before == first.webhook_secret
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_old_key_is_removed_and_the_one_that_signs_never(tmp_path: Path) -> None:
    before = load_keys(tmp_path)
    with pytest.raises(KeysError, match="signs"):
        retire("1", tmp_path)
    after = rotate(tmp_path)
    retire("1", tmp_path)
    retire(before.signing_kid, tmp_path)
    left = load_keys(tmp_path)
    assert left.ticket_keys == {2: after.ticket_keys[2]}
    assert list(left.signing_keys) == [after.signing_kid]
    assert left.holder_key == before.holder_key
    with pytest.raises(KeysError, match="There is no key '1'"):
        retire("1", tmp_path)


def test_webhooks_signed_with_the_secret_before_are_good_until_it_is_retired(tmp_path: Path) -> None:
    """The other side learns of a new secret later than we do."""
    old = load_keys(tmp_path).webhook_secret
    rotate(tmp_path)
    both = load_keys(tmp_path).webhook_secrets
    assert (len(both), both[1]) == (2, old)
    assert both[0] != old
    retire("webhook", tmp_path)
    assert load_keys(tmp_path).webhook_secrets == both[:1]
    with pytest.raises(KeysError, match="There is no key 'webhook'"):
        retire("webhook", tmp_path)
