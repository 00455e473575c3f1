"""Who gets into a site behind a room, and what the others are answered."""

from __future__ import annotations

import base64
import json
from http.client import BadStatusLine
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.connect.answers import Answer
from app.connect.gate import TARGET_CHARS_MAX, TOKENS_MAX, Arrival, Gate, Onward
from app.connect.keys import LOOKED_S, Renewal
from app.connect.passes import LEEWAY_S
from tests.connect.passes import NOW_S, ROOM, SECRET, TIKETI, Clock, Tiketi, arrival, claims


@pytest.fixture
def tiketi() -> Tiketi:
    return Tiketi()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(tiketi: Tiketi, clock: Clock) -> Gate:
    return tiketi.gate(clock)


def decided(gate: Gate, came: Arrival) -> Onward | Answer:
    """With keys asked for as the middleware does."""
    if gate.renewal(came) is not Renewal.none:
        gate.keys.renew()
    return gate.decide(came)


def refused(gate: Gate, came: Arrival) -> Answer:
    answer = decided(gate, came)
    assert isinstance(answer, Answer)
    return answer


def headers(answer: Answer) -> dict[str, str]:
    return dict(answer.headers)


def code(gate: Gate, token: str) -> str:
    """Why a script does not get in with this pass; empty if it does."""
    answer = decided(gate, arrival(token=token, sec_fetch_mode="cors"))
    return "" if isinstance(answer, Onward) else str(json.loads(answer.body)["code"])


def test_a_pass_opens_its_room(gate: Gate, tiketi: Tiketi) -> None:
    onward = decided(gate, arrival(token=tiketi.token()))
    assert isinstance(onward, Onward)
    assert onward.headers() == [
        ("x-tiketi-subject", "h1"),
        ("x-tiketi-room", ROOM),
        ("x-tiketi-number", "7"),
        ("x-tiketi-until", str(int(NOW_S) + 600)),
    ]


def test_a_pass_in_a_header_opens_it_too(gate: Gate, tiketi: Tiketi) -> None:
    assert isinstance(decided(gate, arrival(x_admission_pass=tiketi.token())), Onward)


def test_a_browser_without_a_pass_is_sent_to_wait_and_comes_back_to_where_it_was(gate: Gate) -> None:
    answer = refused(gate, arrival("/buy?a=1&b=%20#x"))
    where = urlsplit(headers(answer)["Location"])
    assert (answer.status, f"{where.scheme}://{where.netloc}{where.path}") == (302, f"{TIKETI}/wait/{ROOM}")
    assert parse_qs(where.query) == {"t": ["https://shop.example/buy?a=1&b=%20#x"]}
    assert headers(answer)["Cache-Control"] == "no-store"


@pytest.mark.parametrize("asking", [{"sec_fetch_mode": "cors"}, {"accept": "application/json"}])
def test_a_script_without_a_pass_is_told_where_to_wait(gate: Gate, asking: dict[str, str]) -> None:
    answer = refused(gate, arrival(**asking))
    body = json.loads(answer.body)
    assert (answer.status, headers(answer)["Content-Type"]) == (401, "application/problem+json")
    assert (body["code"], body["room"], body["retryAfterMs"]) == ("pass_missing", ROOM, 5000)
    assert body["waitUrl"] == headers(answer)["X-Tiketi-Redirect"]
    assert body["waitUrl"].startswith(f"{TIKETI}/wait/{ROOM}?t=https%3A%2F%2Fshop.example%2Fbuy")


def test_a_pass_in_the_address_moves_to_a_cookie(gate: Gate, tiketi: Tiketi, clock: Clock) -> None:
    token = tiketi.token()
    clock.now_s += 100
    answer = refused(gate, arrival(f"/buy?a=1&tiketi_pass={token}&b=2"))
    assert (answer.status, headers(answer)["Location"]) == (302, "/buy?a=1&b=2")
    kept = f"tiketi_pass_{ROOM}={token}; Max-Age=500; Path=/; HttpOnly; SameSite=Lax; Secure"
    assert headers(answer)["Set-Cookie"] == kept


def test_a_pass_that_opens_nothing_does_not_stay_in_the_address(gate: Gate) -> None:
    answer = refused(gate, arrival("/buy?tiketi_pass=x&tiketi_pass=y"))
    assert headers(answer)["Location"] == f"{TIKETI}/wait/{ROOM}?t={quote('https://shop.example/buy', safe='')}"
    assert "Set-Cookie" not in headers(answer)


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example/", "///evil.example", "/\r\nSet-Cookie:%20a=b"])
def test_nobody_is_sent_away_by_what_the_address_looks_like(gate: Gate, tiketi: Tiketi, path: str) -> None:
    where = headers(refused(gate, arrival(f"{path}?tiketi_pass={tiketi.token()}")))["Location"]
    assert where[0] == "/" != where[1]
    assert where.isprintable()
    assert "\\" not in where


def test_with_a_form_a_pass_in_the_address_is_used_where_it_is(gate: Gate, tiketi: Tiketi) -> None:
    assert isinstance(decided(gate, arrival(f"/buy?tiketi_pass={tiketi.token()}", "POST")), Onward)


def test_a_target_that_is_too_long_is_left_to_the_room(gate: Gate) -> None:
    for target in ("/" + "x" * TARGET_CHARS_MAX, "/" * 1_900):
        assert headers(refused(gate, arrival(target)))["Location"] == f"{TIKETI}/wait/{ROOM}"


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"aud": "other"}, "pass_foreign"),
        ({"aud": [ROOM, "other"]}, "pass_foreign"),
        ({"iss": "else"}, "pass_foreign"),
        ({"exp": int(NOW_S - LEEWAY_S)}, "pass_expired"),
        ({"nbf": int(NOW_S + LEEWAY_S + 1)}, "pass_foreign"),
        ({"exp": None}, "pass_foreign"),
        ({"nbf": None}, "pass_foreign"),
        ({"jti": None}, "pass_foreign"),
        ({"exp": "never"}, "pass_foreign"),
        ({"exp": True}, "pass_foreign"),
        ({"nbf": [1]}, "pass_foreign"),
        ({"number": {}}, "pass_foreign"),
        ({"jti": 7}, "pass_foreign"),
        ({"sub": "x" * 10_000}, "pass_foreign"),
        ({"iat": int(NOW_S) + 3}, ""),
        ({"nbf": int(NOW_S) + 3, "exp": int(NOW_S) + 600}, ""),
        ({"exp": int(NOW_S) - 3}, ""),
    ],
)
def test_what_a_pass_says_must_be_so(gate: Gate, tiketi: Tiketi, other: dict[str, Any], why: str) -> None:
    token = jwt.encode(claims(**other), tiketi.keys["k1"], algorithm="EdDSA", headers={"kid": "k1"})
    assert code(gate, token) == why


def test_a_pass_ends_when_it_says(gate: Gate, tiketi: Tiketi, clock: Clock) -> None:
    token = tiketi.token()
    assert code(gate, token) == ""
    clock.now_s += 600 + LEEWAY_S
    assert code(gate, token) == "pass_expired"


def forgeries(tiketi: Tiketi) -> dict[str, str]:
    """Tokens that somebody without our keys can make."""
    good = tiketi.token()
    head, body, signature = good.split(".")
    public = tiketi.keys["k1"].public_key()
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "k1"}).encode()).rstrip(b"=").decode()
    other = base64.urlsafe_b64encode(json.dumps(claims(number=1)).encode()).rstrip(b"=").decode()
    stranger = Ed25519PrivateKey.generate()
    return {
        "another body": f"{head}.{other}.{signature}",
        "no signature": f"{head}.{body}.",
        "no algorithm": f"{none}.{body}.",
        "the public key as a secret": jwt.encode(claims(), raw, algorithm="HS256", headers={"kid": "k1"}),
        "an empty secret": jwt.encode(claims(), "x" * 32, algorithm="HS256"),
        "a stranger's key": jwt.encode(claims(), stranger, algorithm="EdDSA", headers={"kid": "k1"}),
        "no key id": jwt.encode(claims(), stranger, algorithm="EdDSA"),
        "a key id that is a list": jwt.encode(claims(), stranger, algorithm="EdDSA", headers={"kid": "['k1']"}),
        "nonsense": "a.b.c",
        "bytes": "\x00\xff",
        "10 kB": good + "x" * 10_000,
        "10 kB of braces": base64.urlsafe_b64encode(b"[" * 10_000).decode() + ".x.x",
        "nested": base64.urlsafe_b64encode(b"[" * 1_200).decode().rstrip("=") + ".x.x",
        "twice": f"{good}.{good}",
    }


def test_a_forged_pass_opens_nothing(gate: Gate, tiketi: Tiketi) -> None:
    let_in = [name for name, token in forgeries(tiketi).items() if code(gate, token) != "pass_foreign"]
    assert let_in == []


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_with_a_secret_its_passes_are_good_and_others_are_not(tiketi: Tiketi, clock: Clock) -> None:
    gate = tiketi.gate(clock, secrets=["before" * 12, SECRET])
    assert code(gate, jwt.encode(claims(), SECRET, algorithm="HS256")) == ""
    assert code(gate, jwt.encode(claims(), "other" * 12, algorithm="HS256")) == "pass_foreign"
    assert code(gate, jwt.encode(claims(), SECRET, algorithm="HS512")) == "pass_foreign"
    assert code(gate, tiketi.token()) == ""
    assert {code(gate, token) for token in forgeries(tiketi).values()} == {"pass_foreign"}


def test_more_cookies_than_anybody_has_are_not_looked_at(gate: Gate, tiketi: Tiketi) -> None:
    name, token = f"tiketi_pass_{ROOM}", tiketi.token()
    near = "; ".join([*(f"{name}=x" for _ in range(TOKENS_MAX - 1)), f"{name}={token}"])
    assert isinstance(decided(gate, arrival(cookie=near)), Onward)
    assert isinstance(decided(gate, arrival(cookie=f"{name}=x; {near}")), Answer)


def test_rules_say_what_needs_a_pass(tiketi: Tiketi, clock: Clock) -> None:
    rules = [{"action": "pass", "path": "/free"}, {"action": "refuse", "userAgent": "bot"}]
    gate = tiketi.gate(clock, rules=rules)
    assert decided(gate, arrival("/free")) == Onward(None)
    assert refused(gate, arrival("/buy")).status == 302
    assert refused(gate, arrival("/buy", user_agent="A Bot", token=tiketi.token())).status == 403
    assert isinstance(decided(gate, arrival("/free/..%2fbuy")), Answer)


def test_a_visit_is_known_also_where_no_pass_is_needed(tiketi: Tiketi, clock: Clock) -> None:
    gate = tiketi.gate(clock, rules=[{"action": "pass"}])
    onward = decided(gate, arrival(token=tiketi.token()))
    assert isinstance(onward, Onward)
    assert onward.visit is not None


def test_a_pass_whose_visit_ended_here_opens_nothing(gate: Gate, tiketi: Tiketi) -> None:
    token = tiketi.token()
    onward = decided(gate, arrival(token=token))
    assert isinstance(onward, Onward)
    assert onward.visit is not None
    gate.passes.end(onward.visit)
    assert code(gate, token) == "pass_revoked"


def test_strangers_make_us_ask_for_keys_no_more_than_once_in_a_while(gate: Gate, tiketi: Tiketi, clock: Clock) -> None:
    for number in range(50):
        stranger = jwt.encode(claims(), Ed25519PrivateKey.generate(), algorithm="EdDSA", headers={"kid": str(number)})
        assert code(gate, stranger) == "pass_foreign"
        assert gate.renewal(arrival(token=stranger)) is Renewal.none
    assert tiketi.fetched == 1
    clock.now_s += 5
    tiketi.keys["k2"] = Ed25519PrivateKey.generate()
    assert code(gate, tiketi.token("k2")) == ""
    assert tiketi.fetched == 2


def test_a_key_that_was_given_up_opens_nothing_once_that_is_known(gate: Gate, tiketi: Tiketi, clock: Clock) -> None:
    token = tiketi.token()
    assert code(gate, token) == ""
    tiketi.keys = {"k2": Ed25519PrivateKey.generate()}
    clock.now_s += 61
    assert gate.renewal(arrival(token=token)) is Renewal.beside
    gate.keys.renew()
    assert code(gate, token) == "pass_foreign"


def test_a_set_without_keys_of_ours_changes_nothing(gate: Gate, tiketi: Tiketi, clock: Clock) -> None:
    token = tiketi.token()
    assert code(gate, token) == ""
    tiketi.keys = {}
    clock.now_s += 61
    assert code(gate, token) == ""
    assert gate.keys.is_away


@pytest.mark.parametrize("fail", ["open", "closed"])
def test_without_keys_it_is_said_whether_all_come_in_or_none(tiketi: Tiketi, clock: Clock, fail: str) -> None:
    tiketi.is_away = True
    gate = tiketi.gate(clock, fail=fail)
    for came in (arrival(), arrival(token=tiketi.token()), arrival(sec_fetch_mode="cors")):
        answer = decided(gate, came)
        if fail == "open":
            assert answer == Onward(None)
        else:
            assert isinstance(answer, Answer)
            assert (answer.status, headers(answer)["Retry-After"]) == (503, "5")
    assert tiketi.fetched == 1


@pytest.mark.parametrize("error", [ConnectionResetError(), BadStatusLine("x"), TimeoutError(), ValueError("too long")])
def test_whatever_is_wrong_with_the_answer_nobody_is_let_in_for_it(clock: Clock, error: Exception) -> None:
    def fetch() -> bytes:
        raise error

    gate = Gate(tiketi=TIKETI, room=ROOM, fetch=fetch, seconds=clock, steady=clock)
    assert refused(gate, arrival()).status == 503


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"keys":1}', b'{"keys":[1]}', b'{"keys":[{"kty":"OKP"}]}', b"\xff"]
)
def test_what_is_no_key_set_is_no_keys(clock: Clock, body: bytes) -> None:
    gate = Gate(tiketi=TIKETI, room=ROOM, fetch=lambda: body, seconds=clock, steady=clock)
    assert refused(gate, arrival()).status == 503


@pytest.mark.parametrize("fail", ["open", "closed"])
def test_while_tiketi_is_away_passes_are_good_and_newcomers_are_treated_as_set(
    tiketi: Tiketi, clock: Clock, fail: str
) -> None:
    gate = tiketi.gate(clock, fail=fail)
    token = tiketi.token()
    assert code(gate, token) == ""
    tiketi.is_away = True
    clock.now_s += 61
    assert code(gate, token) == ""
    assert code(gate, "") == ("" if fail == "open" else "pass_missing")
    tiketi.is_away = False
    clock.now_s += 5
    assert code(gate, "") == "pass_missing"


def test_before_an_open_site_tiketi_is_asked_for_newcomers_only_and_not_for_each(tiketi: Tiketi, clock: Clock) -> None:
    gate = tiketi.gate(clock, fail="open", rules=[{"action": "pass", "path": "/free"}])
    token = tiketi.token()
    assert code(gate, token) == ""
    clock.now_s += LOOKED_S
    assert [gate.renewal(arrival(token=token)), gate.renewal(arrival("/free"))] == [Renewal.none] * 2
    for _ in range(3):
        assert code(gate, "") == "pass_missing"
    assert tiketi.fetched == 2
    closed = tiketi.gate(clock)
    assert code(closed, "") == "pass_missing"
    clock.now_s += LOOKED_S
    assert closed.renewal(arrival()) is Renewal.none


def test_a_person_is_told_in_their_language(tiketi: Tiketi, clock: Clock) -> None:
    tiketi.is_away = True
    gate = tiketi.gate(clock)
    said = [refused(gate, arrival(accept_language=language)).body.decode() for language in ("ko-KR,en", "de")]
    assert ['lang="ko"' in said[0], "대기실" in said[0], 'lang="en"' in said[1]] == [True] * 3


@pytest.mark.parametrize(
    "wrong",
    [
        *({"tiketi": "line.example"}, {"tiketi": "ftp://a"}, {"room": "a/b"}, {"room": "Ä"}, {"fail": "maybe"}),
        *({"rules": [{"action": "x"}]}, {"internal": "redis"}, {"secrets": ["short"]}),
    ],
)
def test_settings_that_cannot_be_are_refused_at_the_start(tiketi: Tiketi, clock: Clock, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        tiketi.gate(clock, **wrong)
