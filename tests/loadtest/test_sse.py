"""The swarm reads event streams as browsers do."""

from __future__ import annotations

from loadtest.sse import Message, messages


def test_a_message_is_dispatched_at_its_blank_line_with_the_last_id() -> None:
    lines = [
        b"retry: 2000\n",
        b"\n",
        b"id: 7\n",
        b"event: position\n",
        b'data: {"number":1}\n',
        b"\n",
        b"event: message\r\n",
        b"data:a\r\n",
        b"data: b\r\n",
        b"\r\n",
    ]
    assert list(messages(lines)) == [Message("position", '{"number":1}', "7"), Message("message", "a\nb", "7")]


def test_a_message_cut_off_by_the_end_is_dropped() -> None:
    assert list(messages([b"event: position\n", b"data: {}\n"])) == []


def test_a_comment_is_ignored_and_the_name_of_an_event_is_not_kept() -> None:
    lines = [b": hello\n", b"event: admitted\n", b"data: 1\n", b"\n", b"data: 2\n", b"\n"]
    assert list(messages(lines)) == [Message("admitted", "1", ""), Message("message", "2", "")]
