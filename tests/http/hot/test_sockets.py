"""The frames that are made once for all: any client of the protocol reads them as what they say."""

from __future__ import annotations

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, Ping, TextMessage

from app.http.hot.sockets import PING, text_frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 70_000])
def test_a_text_of_any_size_arrives_whole_and_the_next_one_after_it(size: int) -> None:
    client = Connection(ConnectionType.CLIENT)
    first, second = "가" * (size // 3) + "x" * (size % 3), "second"
    client.receive_data(text_frame(first.encode()) + text_frame(second.encode()) + PING)
    texts = [""]
    pinged = False
    for event in client.events():
        assert not isinstance(event, BytesMessage)
        if isinstance(event, TextMessage):
            texts[-1] += event.data
            if event.message_finished:
                texts.append("")
        pinged |= isinstance(event, Ping)
    assert texts == [first, second, ""]
    assert pinged
