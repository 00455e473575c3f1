"""Server-Sent Events: who is told what, when, and how a stream begins, resumes and ends."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from starlette.types import Message

from app.domain.ticket import HOLDER_BYTES, Ticket
from app.http.line.streams import STREAMS_PER_TICKET_MAX
from tests.http.buyer import Buyer, assert_problem, buyer
from tests.http.system import System
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_stream_begins_with_the_position_and_tells_of_the_turn(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as ann:
        await ann.join()
        async with ann.stream() as stream:
            assert stream.answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert stream.answer.headers["cache-control"] == "no-store"
            first = await stream.next("position")
            assert stream.retry_ms == 2000
            assert first.data == await ann.position()
            await system.change(event_id, state="open")
            admitted = await stream.next("admitted")
            assert admitted.data == await ann.position()
            assert first.id is not None
            assert int(admitted.id or 0) > int(first.id)


async def test_who_is_behind_sees_people_ahead_leave(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben:
        await ann.join()
        await ben.join()
        async with ben.stream() as stream:
            assert (await stream.next("position")).data["ahead"] == 1
            await ann.post("leave")
            moved = await _position_where(stream.events(), "ahead", 0)
            assert moved["number"] == 2


async def _position_where(events: Any, name: str, value: Any) -> dict[str, Any]:
    async for event in events:
        if event.name in ("position", "admitted") and event.data.get(name) == value:
            position: dict[str, Any] = event.data
            return position
    raise AssertionError(f"no position with {name} = {value!r}")


async def test_a_message_reaches_everyone_who_waits(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with AsyncExitStack() as stack:
        streams = []
        for _ in range(5):
            one = await stack.enter_async_context(buyer(system, event_id))
            await one.join()
            streams.append(await stack.enter_async_context(one.stream()))
            await streams[-1].next("position")
        text = 'Ten minutes.\n<b>Sorry</b> & "잠시만요"'
        await system.change(event_id, message=text)
        told = await asyncio.gather(*(stream.next("message") for stream in streams))
        assert [event.data for event in told] == [{"message": text}] * 5
        assert (await one.position())["message"] == text


async def test_a_message_is_told_in_every_language_it_has(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    texts = {"ko": "십 분만요", "en": "Ten minutes"}
    async with buyer(system, event_id) as ann:
        await ann.join()
        async with ann.stream() as stream:
            await stream.next("position")
            await system.change(event_id, messages=texts)
            assert (await stream.next("message")).data == {"message": "Ten minutes", "messages": texts}
            await system.change(event_id, messages={"ko": "오 분만요", "en": "Ten minutes"})
            told = (await stream.next("message")).data
            assert told["messages"]["ko"] == "오 분만요", "one language alone is news as well"
            await system.change(event_id, messages={"ko": "", "en": " "})
            assert (await stream.next("message")).data == {"message": ""}
            assert not {"message", "messages"} & set(await ann.position())


async def test_who_reads_a_language_without_a_text_reads_the_other(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as ann:
        await ann.join()
        for given, korean, english in (
            ({"message": "Wait", "messages": {"ko": "기다려요"}}, "기다려요", "Wait"),
            ({"messages": {"ko": "곧요"}}, "곧요", "곧요"),
            ({"message": "Soon"}, "Soon", "Soon"),
        ):
            await system.change(event_id, **given)
            for lang, said in (("ko", korean), ("en", english)):
                page = (await ann.client.get(f"/events/{event_id}/wait", params={"lang": lang})).text
                assert f"<span>{said}</span>" in page


async def test_a_hold_answered_after_the_turn_is_told_at_once(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.join()
        await ann.until("admitted")
        async with ann.stream() as stream:
            assert "reservation" not in (await stream.next("admitted")).data
            await ann.claim()
            await _position_where(stream.events(), "state", "claimed")
            held = await ann.hold(seatIds=["s0"])
            told = await stream.next("position")
            assert told.data["reservation"] == held


async def test_a_wish_that_is_held_reaches_the_open_stream(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as ann:
        await ann.join({"quantity": 2})
        async with ann.stream() as stream:
            await stream.next("position")
            await system.change(event_id, state="open")
            async for event in stream.events():
                if "reservation" in event.data:
                    assert len(event.data["reservation"]["seats"]) == 2
                    break


async def test_news_of_one_buyer_s_seats_is_not_written_to_the_others(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben:
        await ann.enter()
        await ben.enter()
        async with ben.stream() as others, ann.stream() as mine:
            await others.next("position")
            await mine.next("position")
            await ann.hold(seatIds=["s0"])
            await mine.next("position")
            await system.change(event_id, message="and now everyone")
            both = others.events()
            assert [(await anext(both)).name for _ in range(2)] == ["position", "message"]


async def test_a_stream_resumes_with_the_present_state(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as ann:
        await ann.join()
        async with ann.stream() as stream:
            seen = (await stream.next("position")).id
        await system.change(event_id, state="open")
        await ann.until("admitted")
        async with ann.stream(headers={"last-event-id": seen or ""}) as stream:
            first = await anext(stream.events())
            assert first.name == "admitted"
            assert first.data == await ann.position()


async def test_a_stream_ends_with_reconnect_when_its_life_is_over(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as ann:
        await ann.join()
        async with ann.stream() as stream:
            await stream.next("position")
            _end_lives(system, event_id)
            *before, last = await stream.rest()
            assert last.name == "reconnect"
            assert {event.name for event in before} <= {"position"}, "the line may have moved first"
        async with ann.stream() as stream:
            assert (await stream.next("position")).data["number"] == 1


def _end_lives(system: System, event_id: str) -> None:
    hub = system.state["hub"]
    for stream in hub.streams:
        if stream.view.event_id == event_id:
            stream.ends_s = 0.0
    hub.poke()


async def test_closing_the_room_ends_every_stream_those_of_people_inside_too(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann, buyer(system, event_id) as ben, buyer(system, event_id) as cleo:
        await ann.enter()
        await ben.join()
        await ben.until("admitted")
        await system.change(event_id, state="paused")
        await cleo.join()
        async with ann.stream() as inside, ben.stream() as at_the_door, cleo.stream() as waiting:
            streams = [inside, at_the_door, waiting]
            for stream in streams:
                await anext(stream.events())
            await system.change(event_id, state="closed")
            for stream in streams:
                *before, last = await stream.rest()
                assert (last.name, last.data) == ("closed", {"reason": "room_closed"})
                assert {event.name for event in before} <= {"position"}, "the line may have moved first"


async def test_a_stream_of_a_closed_room_says_so_once_and_ends(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.join()
        await system.change(event_id, state="closed")
        async with ann.stream() as stream:
            assert [event.name for event in await stream.rest()] == ["closed"]


async def test_a_stream_of_a_place_that_is_over_says_so_once_and_ends(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.join()
        await ann.post("leave")
        await ann.until("left")
        async with ann.stream() as stream:
            told = await stream.rest()
        assert [event.name for event in told] == ["position", "closed"]
        assert told[1].data == {"reason": "left"}


async def test_paying_ends_the_stream_and_the_position_shows_what_was_bought(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.enter()
        async with ann.stream() as stream:
            await stream.next("position")
            held = await ann.hold(seatIds=["s0"])
            await ann.pay(held["id"])
            assert (await stream.rest())[-1].data == {"reason": "left"}

        async def is_shown() -> bool:
            return bool((await ann.position())["reservation"] == {**held, "status": "confirmed"})

        await wait_until(is_shown, description="the position of who has paid shows the seats sold")


async def test_one_ticket_has_a_few_streams_and_then_is_asked_to_poll(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as ann, AsyncExitStack() as stack:
        await ann.join()
        streams = [await stack.enter_async_context(ann.stream()) for _ in range(STREAMS_PER_TICKET_MAX)]
        for stream in streams:
            await stream.next("position")
        refused = await ann.client.get(f"/api/queue/{event_id}/stream")
        assert_problem(refused, 503, "streams_full")
        assert int(refused.headers["retry-after"]) >= 1
        await stack.aclose()
        await wait_until(lambda: _has_place(ann), description="a closed stream gives its place back")


async def _has_place(ann: Buyer) -> bool:
    async with ann.stream() as stream:
        return stream.answer.status_code == 200


async def test_head_of_a_stream_answers_at_once_and_keeps_nothing_open(system: System, event_id: str) -> None:
    async with buyer(system, event_id) as ann:
        await ann.join()
        for _ in range(STREAMS_PER_TICKET_MAX + 1):
            answer = await ann.client.head(f"/api/queue/{event_id}/stream")
            assert answer.status_code == 200
        assert not [stream for stream in system.state["hub"].streams if stream.view.event_id == event_id]


async def test_an_open_stream_counts_as_being_there(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    async with buyer(system, event_id) as ann:
        await ann.join()
        async with ann.stream() as stream:
            await stream.next("position")
            slots = await system.redis.keys(f"tiketi:{{{event_id}}}:1:seen:*")
            await system.redis.delete(*slots)

            async def is_seen() -> bool:
                found = await system.redis.keys(f"tiketi:{{{event_id}}}:1:seen:*")
                return any([await system.redis.getbit(slot, 1) for slot in found])

            await wait_until(is_seen, description="presence was told of the open stream")


SOMEBODY = Ticket("", 1, 1, bytes(HOLDER_BYTES), 0)


class Slow:
    """The server's side of a connection whose client reads nothing more after the first two messages."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.full = asyncio.Event()

    async def send(self, message: Message) -> None:
        if len(self.taken) == 2:
            await self.full.wait()
        self.taken.append(message)

    async def receive(self) -> Message:
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}


async def test_a_slow_reader_is_skipped_and_dropped_and_holds_nobody_up(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    hub, view = system.state["hub"], system.state["rooms"].views[event_id]
    slow = Slow()
    serving = asyncio.create_task(hub.serve(view, SOMEBODY, slow.receive, slow.send, reservation=lambda *_: b""))
    async with buyer(system, event_id) as ann:
        await ann.join()
        async with ann.stream() as stream:
            await stream.next("position")
            await system.change(event_id, message="first")
            assert (await stream.next("message")).data == {"message": "first"}
            assert len(slow.taken) == 2
            assert not serving.done()
            next(one for one in hub.streams if one.task is serving).taken_s -= 1_000
            await system.change(event_id, message="second")
            assert (await stream.next("message")).data == {"message": "second"}
            await serving
            assert len(slow.taken) == 2


async def test_a_slow_reader_is_let_go_at_the_end_of_its_life(system: System, event_id: str) -> None:
    await system.change(event_id, state="paused")
    hub, view = system.state["hub"], system.state["rooms"].views[event_id]
    slow = Slow()
    serving = asyncio.create_task(hub.serve(view, SOMEBODY, slow.receive, slow.send, reservation=lambda *_: b""))

    async def has_begun() -> bool:
        return len(slow.taken) == 2

    await wait_until(has_begun, description="the stream has begun")
    _end_lives(system, event_id)
    async with asyncio.timeout(10):
        await serving
    assert hub.has_place(view, 1)
