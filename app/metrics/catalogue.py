"""Every metric of the product: its name, kind, help text and labels. A reading with another name is dropped.

`shared` metrics describe the stores or a room, which every process sees alike: they appear once, without a `process`
label. All others carry `process`, so that a restarted process resets only its own. Counters get `_total` appended.
A test checks that the dashboard and the alert rules use only these names.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]


class Spec(NamedTuple):
    """What is known of a metric. `labels` do not include `process`."""

    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    shared: bool = False


def _counter(text: str, *labels: str) -> Spec:
    return Spec("counter", text, labels)


def _gauge(text: str, *labels: str) -> Spec:
    return Spec("gauge", text, labels)


def _histogram(text: str, *labels: str) -> Spec:
    return Spec("histogram", text, labels)


def _shared(text: str, *labels: str, kind: Kind = "gauge") -> Spec:
    return Spec(kind, text, labels, shared=True)


LINE = {
    "tiketi_joins": _counter("People who asked for a place, by answer", "event_id", "status"),
    "tiketi_door": _counter(
        "New places asked for, by what came of it: free, solved, waited, captcha, challenged, spent, …",
        *("event_id", "outcome"),
    ),
    "tiketi_accounts": _counter(
        "What happened to accounts: login, admin_login, login_failed, login_locked, registered, openid_away …",
        "what",
    ),
    "tiketi_join_batch_people": _histogram("People per call to Redis that gives numbers"),
    "tiketi_join_call_seconds": _histogram("How long such a call took"),
    "tiketi_join_pending": _gauge("People who wait for their number now"),
    "tiketi_join_pending_max": _gauge("People per room and process who may wait for their number"),
    "tiketi_polls": _counter("Positions told to people who asked"),
    "tiketi_claims": _counter("Turns that people wanted to take up, by answer", "event_id", "status"),
    "tiketi_checks": _counter(
        "Requests that proxies asked about, by origin and answer: let_through, cleaned, pass_missing, pass_expired, …",
        *("origin", "outcome"),
    ),
    "tiketi_visits_ended": _counter("Visits that sites have ended, by origin", "origin"),
    "tiketi_visit_seconds": _histogram("How long visitors stayed whose visits were ended", "origin"),
    "tiketi_connector_refused": _counter(
        "Visitors whom a site's connector refused, by origin and why: secret_differs, clock_differs, late, not_ours, …",
        *("origin", "why"),
    ),
    "tiketi_connector_clients": _gauge(
        "Clients whom a site's connector refused within ten minutes, each counted by one process",
        *("origin", "why"),
    ),
    "tiketi_connector_ahead_seconds": _gauge(
        "How far a connector's clock was ahead of ours when it last refused a token as late", "origin"
    ),
    "tiketi_streams_open": _gauge("Streams open now"),
    "tiketi_streams_max": _gauge("Streams a process may have open"),
    "tiketi_streams_opened": _counter("Streams opened"),
    "tiketi_stream_messages": _counter("Messages written to streams"),
    "tiketi_streams_dropped": _counter("Streams ended because the reader took nothing"),
    "tiketi_sockets_open": _gauge("WebSockets of seat maps open now"),
    "tiketi_sockets_max": _gauge("WebSockets a process may have open"),
    "tiketi_socket_messages": _counter("Changes of seat maps written to WebSockets"),
    "tiketi_sockets_dropped": _counter("WebSockets ended because the reader was too slow"),
    "tiketi_eta_forecasts": _counter("Predicted waits by how the wait turned out: within, early, late", "verdict"),
    "tiketi_wait_seconds": _histogram("How long people who joined at the end of the line really waited"),
    "tiketi_wait_over_predicted_ratio": _histogram("The real wait over the middle of the predicted range"),
}
ROOMS = {
    "tiketi_room_open": _shared("1 if the room lets people in or join", "event_id", "state"),
    "tiketi_room_pressed": _shared("1 while more join than planned, so that everybody is asked for work", "event_id"),
    "tiketi_room_waiting": _shared("People in line", "event_id"),
    "tiketi_room_admitted": _shared("People whose turn has come and who have not taken it up", "event_id"),
    "tiketi_room_active": _shared("People with a pass who are not done", "event_id"),
    "tiketi_room_capacity": _shared("People who may be inside at a time", "event_id"),
    "tiketi_room_rate_per_second": _shared("People let in per second, as set", "event_id"),
    "tiketi_room_cursor": _shared("The highest number that was passed", "event_id"),
    "tiketi_room_numbers": _shared("Numbers given", "event_id", kind="counter"),
    "tiketi_room_generation": _shared(
        "How often the room was made; more than once if Redis may have lost something", "event_id"
    ),
    "tiketi_room_admissions": _shared("People let in", "event_id", kind="counter"),
    "tiketi_room_numbers_left": _shared("Numbers that may still be given before more are reserved", "event_id"),
    "tiketi_room_oldest_wait_seconds": _shared("How long the first person in line has waited", "event_id"),
    "tiketi_room_eta_seconds": _shared("Predicted wait of who joins now", "event_id", "edge"),
    "tiketi_lane_backlog": _shared("Seat commands that wait for an allocator", "event_id"),
    "tiketi_lane_backlog_max": _shared("Seat commands that one lane takes"),
}
ADMISSION = {
    "tiketi_admitted": _counter("People this worker let in", "event_id"),
    "tiketi_turns_ended": _counter("Turns and passes this worker ended because their time was over", "event_id"),
    "tiketi_wishes_sent": _counter("Wishes sent to the lane because their buyer's turn came", "event_id"),
    "tiketi_tick_seconds": _histogram("How long a tick over all rooms took"),
    "tiketi_tick_late_seconds": _histogram("How late a tick began"),
    "tiketi_draws_without_beacon": _counter("Openings drawn without the round of the beacon that was named for them"),
    "tiketi_ticks_failed": _counter("Ticks that failed, because Redis was away"),
}
SEATS = {
    "tiketi_lane_outcomes": _counter("Seat commands carried out, by answer", "event_id", "status"),
    "tiketi_lane_commands_dropped": _counter("Seat commands that failed each time and were dropped"),
    "tiketi_lane_batch_commands": _histogram("Commands per transaction of an allocator"),
    "tiketi_lane_batch_seconds": _histogram("How long deciding, writing and telling a batch took"),
    "tiketi_lane_wait_seconds": _histogram("From a request's command to its answer", "command"),
    "tiketi_lane_busy": _counter("Requests the lane did not answer in time"),
    "tiketi_hold_release_seconds": _histogram("How long after its end a hold's seats were free"),
    "tiketi_reservations": _shared(
        "Reservations by what they are now, of events whose room is not closed", "event_id", "status"
    ),
    "tiketi_revenue_won": _shared("Money taken and kept, of events whose room is not closed", "event_id"),
    "tiketi_seats": _shared("Seats by what they are now, of events whose room is not closed", "event_id", "status"),
    "tiketi_charges": _shared("Charges that are not finished, by what they are now", "status"),
    "tiketi_waitlist": _shared("People on the waiting list by what they are now", "event_id", "state"),
    "tiketi_refunds_due": _shared("Payments that are to be paid back"),
    "tiketi_refunds_failing": _shared("Of them, those that could not be paid back at the first try"),
}
WEB = {
    "tiketi_connections_open": _gauge("Open connections of this web process"),
    "tiketi_connections_max": _gauge("Of them, how many are for everybody; the rest is for probes and admins"),
    "tiketi_connections_refused": _counter("Connections refused, or ended for being slow", "why"),
    "tiketi_request_seconds": _histogram(
        "How long requests took to be answered, by route and status; plain polls and joins are not among them"
    )._replace(labels=("method", "route", "status")),
    "tiketi_refusals": _counter("Requests refused, by the code of the refusal", "code"),
    "tiketi_seat_maps_bytes": _gauge("About how much memory the seat maps of this web process take"),
    "tiketi_seat_maps_max_bytes": _gauge("With how much those not in use are closed"),
    "tiketi_cache_hits": _counter("Answers that the cache had"),
    "tiketi_cache_misses": _counter("Answers that the cache had to make"),
    "tiketi_cache_shared": _counter("Answers that waited for what another was making already"),
}
STORES = {
    "tiketi_redis_up": _shared("1 if Redis answered when it was last asked"),
    "tiketi_redis_ping_seconds": _histogram("How long Redis took to answer, asked once a second"),
    "tiketi_redis_memory_bytes": _shared("Memory that Redis uses"),
    "tiketi_redis_memory_max_bytes": _shared("Memory that Redis may use, 0 without a limit"),
    "tiketi_redis_clients": _shared("Connections to Redis"),
    "tiketi_redis_clients_max": _shared("Connections that Redis takes"),
    "tiketi_redis_commands": _shared("Commands that Redis carried out", kind="counter"),
    "tiketi_redis_aof_ok": _shared("1 if Redis could write its log the last time"),
    "tiketi_redis_aof_bytes": _shared("Size of Redis's log"),
    "tiketi_redis_aof_rewriting": _shared("1 while Redis rewrites its log"),
    "tiketi_workers_seen": _shared("Workers that said within the last seconds that they live"),
    "tiketi_problem": _shared("1 if /status has this problem", "code"),
    "tiketi_sql_up": _shared("1 if the shop's database answered when it was last asked"),
    "tiketi_sql_transaction_seconds": _histogram("How long transactions took", "kind"),
    "tiketi_sql_pool_used": _gauge("Connections of the pool in use"),
    "tiketi_sql_pool_max": _gauge("Connections that the pool keeps"),
    "tiketi_disk_free_bytes": _shared("Free space where the state lives"),
    "tiketi_disk_bytes": _shared("Space where the state lives"),
}
PROCESS = {
    "tiketi_up": _gauge("1 for every process that told its numbers within the last seconds"),
    "tiketi_build_info": _gauge("1, with what the process is made of", "version", "python"),
    "tiketi_event_loop_late_seconds": _histogram(
        "How late the event loop did what was due, looked at four times a second"
    ),
    "tiketi_event_loop_worst_seconds": _gauge("The worst of it within the last ten seconds"),
    "tiketi_clock_off_seconds": _gauge("How far the wall clock of the process is ahead of Redis's, which all go by"),
    "tiketi_log_lines_dropped": _counter("Lines of the log that did not fit into its queue"),
    "tiketi_log_lines_queued": _gauge("Lines of the log that wait to be written"),
    "tiketi_process_cpu_seconds": _counter("Processor time"),
    "tiketi_process_resident_memory_bytes": _gauge("Memory in use"),
    "tiketi_process_open_fds": _gauge("Open files and sockets"),
    "tiketi_process_max_fds": _gauge("Files and sockets that may be open"),
    "tiketi_process_start_time_seconds": _gauge("When the process began, as a Unix time"),
}
CATALOGUE: dict[str, Spec] = {**LINE, **ROOMS, **ADMISSION, **SEATS, **WEB, **STORES, **PROCESS}


def exposed(name: str) -> tuple[str, ...]:
    """The series that a query may name."""
    match CATALOGUE[name].kind:
        case "counter":
            return (f"{name}_total",)
        case "histogram":
            return (f"{name}_bucket", f"{name}_sum", f"{name}_count")
        case _:
            return (name,)
