"""What proves a webhook: nobody without the secret makes it, nobody uses it for another body or later."""

from __future__ import annotations

from app.payments.webhook_signature import TOLERANCE_S, WebhookSecrets, is_signed, sign

SECRET = b"k" * 32


def test_a_signature_is_of_one_body_one_time_and_one_secret() -> None:
    signature = sign(SECRET, b"body", 1_000)
    assert is_signed(SECRET, b"body", signature, 1_000 + TOLERANCE_S)
    assert not is_signed(SECRET, b"body", signature, 1_001 + TOLERANCE_S)
    assert not is_signed(SECRET, b"body", signature, 999 - TOLERANCE_S)
    assert not is_signed(SECRET, b"other", signature, 1_000)
    assert not is_signed(b"x" * 32, b"body", signature, 1_000)
    assert not is_signed(SECRET, b"body", signature.replace("t=1000", "t=1001"), 1_000)
    for nonsense in ("", "t=", "v1=", "t=x,v1=y", "t=" + "9" * 50, "é" * 9, "t=1000,v1=" + "0" * 64):
        assert not is_signed(SECRET, b"body", nonsense, 1_000)


def test_while_a_secret_is_rotated_both_are_good_and_then_one() -> None:
    old, new = (sign(secret, b"body", 1_000) for secret in (SECRET, b"n" * 32))
    known = WebhookSecrets([SECRET])
    assert [known.are_of(b"body", signature, 1_000) for signature in (old, new)] == [True, False]
    known.learn([b"n" * 32, SECRET])
    assert [known.are_of(b"body", signature, 1_000) for signature in (old, new)] == [True, True]
    known.learn([b"n" * 32])
    assert [known.are_of(b"body", signature, 1_000) for signature in (old, new)] == [False, True]
