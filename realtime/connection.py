"""The protocol state of one socket, without I/O: data in, accepted frames out, replies into the outbox.

`receive` answers with the frame that the session has to act on, or None when the connection dealt with it. Whether
to close, and with which code, stands in `closing`. Time is monotonic seconds and comes in as an argument.
"""

import enum
from collections.abc import Callable

import msgspec

from domain.hlc import stamp
from realtime import codes
from realtime.bucket import TokenBucket
from realtime.channels import Scope
from realtime.codec import BadFrameError, Codec, UnknownFrameError
from realtime.frames import (
    Ack,
    AnyClientFrame,
    Auth,
    AuthOk,
    AuthRequired,
    ClientPresence,
    ClientSignal,
    Command,
    Error,
    Goaway,
    Hello,
    Ping,
    Pong,
    ServerFrame,
    Subscribe,
    Unsubscribe,
    Welcome,
)
from realtime.limits import PROTOCOL_VERSION, Limits
from realtime.outbox import EXEMPT, Key, Outbox


class Phase(enum.Enum):
    WAITING = "waiting for the hello"
    AUTHENTICATING = "the hello is being checked"
    OPEN = "open"
    CLOSED = "closed"


class Closing(msgspec.Struct, frozen=True):
    """`flush`: what waits in the outbox is still sent first."""

    code: int
    reason: str
    flush: bool = True


class Connection:
    """`last_seq` is the last command accepted for running; `in_flight` counts those not yet answered."""

    __slots__ = (
        "_bucket",
        "_frames",
        "_hello_until",
        "_limits",
        "_ping_at",
        "_ping_n",
        "_pong_until",
        "_token_until",
        "_token_warned",
        "channels",
        "closing",
        "codec",
        "conn_id",
        "counted",
        "device_id",
        "epoch",
        "in_flight",
        "last_seq",
        "outbox",
        "phase",
        "scope",
    )

    def __init__(
        self,
        codec: Codec,
        scope: Scope,
        limits: Limits,
        conn_id: str,
        now: float,
        newest: Callable[[str, str], bytes | None] = lambda _ch, _ent: None,
    ) -> None:
        self.codec = codec
        self.scope = scope
        self.conn_id = conn_id
        self.phase = Phase.WAITING
        self.closing: Closing | None = None
        self.outbox = Outbox(
            limits.outbound_bytes_max, limits.outbound_seconds_max, newest, limits.outbound_snapshot_bytes_max
        )
        self.channels: dict[str, None] = {}
        self.device_id = ""
        self.epoch = 0
        self.counted = False
        self.last_seq = 0
        self.in_flight = 0
        self._limits = limits
        self._bucket = TokenBucket(limits.commands_per_second, limits.commands_burst, now)
        self._frames = TokenBucket(limits.frames_per_second, limits.frames_burst, now)
        self._hello_until = now + limits.hello_seconds
        self._ping_at = now + limits.ping_seconds
        self._ping_n = 0
        self._pong_until: float | None = None
        self._token_until: float | None = None
        self._token_warned = False

    # -- in ---------------------------------------------------------------------------------------

    def receive(self, data: str | bytes, now: float) -> AnyClientFrame | None:
        if self.closing is not None:
            return None
        if not self._frames.take(now):
            self.shut(codes.RATE, "too many frames")
            return None
        try:
            frame = self.codec.decode(data, self._limits.frame_bytes_max)
        except BadFrameError as error:
            self.shut(codes.BAD_FRAME, str(error))
            return None
        except UnknownFrameError as error:
            if self.phase is not Phase.OPEN:
                self.shut(codes.NO_HELLO, "the first frame is a hello")
                return None
            self.refuse("", error.tag, "unknown_type", now)
            return None
        if self.phase is Phase.OPEN:
            if type(frame) is Command:
                return self._command(frame, now)
            return self._other(frame, now)
        if self.phase is Phase.WAITING and type(frame) is Hello:
            return self._hello(frame)
        self.shut(codes.NO_HELLO, "the first frame is a hello")
        return None

    def _hello(self, hello: Hello) -> Hello | None:
        lowest, highest = hello.v
        if not lowest <= PROTOCOL_VERSION <= highest:
            self.shut(codes.VERSION, f"this server speaks version {PROTOCOL_VERSION}")
            return None
        self.phase = Phase.AUTHENTICATING
        self.device_id = hello.device_id
        self.epoch = hello.epoch
        return hello

    def _command(self, command: Command, now: float) -> Command | None:
        seq = command.seq
        if not self._bucket.take(now):
            self.refuse(seq, "command", "rate", now, retry_after_ms=self._bucket.wait_ms())
            return None
        if not self.device_id:
            self.refuse(seq, "command", "no_device", now)
            return None
        if command.epoch > self.epoch or (command.epoch < self.epoch and not self.counted):
            self.refuse(seq, "command", "epoch", now)
            return None
        if command.epoch == self.epoch and seq > self.last_seq + 1:
            self.gap(seq, now)
            return None
        if self.in_flight >= self._limits.commands_in_flight_max:
            self.refuse(seq, "command", "in_flight", now, retry_after_ms=100)
            return None
        if command.epoch == self.epoch:
            self.last_seq = max(self.last_seq, seq)
        self.in_flight += 1
        return command

    def _other(self, frame: AnyClientFrame, now: float) -> AnyClientFrame | None:
        match frame:
            case Pong(n=n):
                if n == self._ping_n:
                    self._pong_until = None
                return None
            case Ack() | Auth() | ClientPresence():
                return frame
            case Hello():
                self.shut(codes.BAD_FRAME, "a second hello")
                return None
            case Subscribe(id=ref, ch=channel):
                return frame if self.admit_channel(channel, ref, now) else None
            case Unsubscribe(ch=channel):
                return frame if channel in self.channels else None
            case ClientSignal(ent=ent, name=name):
                if not self._bucket.take(now):
                    self.refuse(name, "signal", "rate", now, retry_after_ms=self._bucket.wait_ms())
                    return None
                if not self.scope.admits_entity(ent):
                    self.refuse(name, "signal", "not_found", now)
                    return None
                return frame
        return None

    def admit_channel(self, channel: str, ref: int | str, now: float) -> bool:
        """Count a subscription in, or refuse it with an `error`."""
        if not self._bucket.take(now):
            self.refuse(ref, "subscribe", "rate", now, retry_after_ms=self._bucket.wait_ms())
        elif not self.scope.admits_channel(channel):
            self.refuse(ref, "subscribe", "not_found", now)
        elif len(self.channels) >= self._limits.channels_max and channel not in self.channels:
            self.refuse(ref, "subscribe", "too_many_channels", now)
        else:
            self.channels[channel] = None
            return True
        return False

    # -- what the session found out ---------------------------------------------------------------

    def welcome(
        self, last_seq: int, *, resumed: bool, ttl_seconds: int | None, wall_ms: int, now: float, session_id: str = ""
    ) -> None:
        """With `session_id` the device's count is kept there, also of its older epochs."""
        limits = self._limits
        self.phase = Phase.OPEN
        self.last_seq = last_seq
        self.counted = bool(session_id)
        self._ping_at = now + limits.ping_seconds
        self._set_token(ttl_seconds, now)
        self.send(
            Welcome(
                v=PROTOCOL_VERSION,
                conn_id=self.conn_id,
                resumed=resumed,
                last_seq=last_seq,
                ping_ms=int(limits.ping_seconds * 1000),
                limits={
                    "frame_bytes": limits.frame_bytes_max,
                    "snapshot_part_bytes": limits.snapshot_part_bytes_max,
                    "channels": limits.channels_max,
                    "commands_per_second": int(limits.commands_per_second),
                    "commands_burst": int(limits.commands_burst),
                    "commands_in_flight": limits.commands_in_flight_max,
                },
                hlc=stamp(wall_ms),
                token_ttl=msgspec.UNSET if ttl_seconds is None else ttl_seconds,
                session=session_id,
            ),
            now,
        )

    def renewed(self, ttl_seconds: int | None, now: float) -> None:
        """The `auth` frame's token is good."""
        self._set_token(ttl_seconds, now)
        self.send(AuthOk(token_ttl=msgspec.UNSET if ttl_seconds is None else ttl_seconds), now)

    def answered(self, frame: ServerFrame, now: float) -> None:
        """A command has its final result."""
        self.in_flight -= 1
        self.send(frame, now)

    def held(self, seq: int, code: str, retry_after_ms: int, now: float, epoch: int | None = None) -> None:
        """A command failed for now: it and everything after it has to come again, in order.

        One of an older `epoch` is not in the count: it comes again alone.
        """
        self.in_flight -= 1
        if epoch is None or epoch == self.epoch:
            self.last_seq = min(self.last_seq, seq - 1)
        self.refuse(seq, "command", code, now, retry_after_ms=max(1, retry_after_ms))

    def skipped(self, seq: int, now: float, epoch: int | None = None) -> None:
        """An accepted command was not run because one before it is held."""
        self.in_flight -= 1
        if epoch is None or epoch == self.epoch:
            self.gap(seq, now)
        else:
            self.refuse(seq, "command", "held", now, retry_after_ms=1_000)

    def rewind(self, seq: int, epoch: int) -> None:
        """This command has to come again: the next one expected is not after it."""
        if epoch == self.epoch:
            self.last_seq = min(self.last_seq, seq - 1)

    def gap(self, seq: int, now: float) -> None:
        frame = Error(
            ref=seq,
            code="gap",
            temporary=True,
            retry_after_ms=0,
            of="command",
            expected=self.last_seq + 1,
        )
        self.send(frame, now)

    # -- out --------------------------------------------------------------------------------------

    def send(self, frame: ServerFrame, now: float) -> None:
        self.push(self.codec.encode(frame), now)

    def push(self, data: bytes, now: float, key: Key | None = None) -> None:
        """Queue an encoded frame. A consumer that cannot keep up is closed with 4008."""
        if self.closing is None and not self.outbox.push(data, now, key):
            self.shut(codes.SLOW_CONSUMER, "outbound buffer full", flush=False)

    def refuse(
        self, ref: int | str, of: str, code: str, now: float, *, retry_after_ms: int = 0, detail: str = ""
    ) -> None:
        """`retry_after_ms` > 0 makes it temporary."""
        frame = Error(
            ref=ref,
            code=code,
            temporary=retry_after_ms > 0,
            retry_after_ms=retry_after_ms,
            of=of,
            detail=detail,
        )
        self.send(frame, now)

    def goaway(self, drain_ms: int, now: float) -> None:
        limits = self._limits
        backoff = (int(limits.reconnect_seconds_min * 1000), int(limits.reconnect_seconds_max * 1000))
        if self.phase is Phase.OPEN:
            self.send(Goaway(drain_ms=drain_ms, backoff=backoff), now)

    def shut(self, code: int, reason: str, *, flush: bool = True) -> None:
        """Close with `code`; the first reason counts."""
        if self.closing is None:
            self.closing = Closing(code, reason[:120], flush)
            self.phase = Phase.CLOSED
            if not flush:
                self.outbox.clear()

    # -- time -------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Look at the deadlines; to be called about once a second."""
        if self.closing is not None:
            return
        if self.phase is not Phase.OPEN:
            if now >= self._hello_until:
                self.shut(codes.NO_HELLO, "no hello in time")
            return
        if not self.outbox.keeps_up(now):
            self.shut(codes.SLOW_CONSUMER, "outbound frames too old", flush=False)
        elif self._pong_until is not None and now >= self._pong_until:
            self.shut(codes.NO_PONG, "no pong in time", flush=False)
        elif self._token_until is not None and now >= self._token_until:
            self._expire(now)
        if self.closing is None and now >= self._ping_at:
            self._ping_n += 1
            self._ping_at = now + self._limits.ping_seconds
            self._pong_until = now + self._limits.pong_seconds
            self.push(self.codec.encode(Ping(n=self._ping_n)), now, EXEMPT)

    def _set_token(self, ttl_seconds: int | None, now: float) -> None:
        self._token_warned = False
        self._token_until = None if ttl_seconds is None else now + ttl_seconds

    def _expire(self, now: float) -> None:
        if self._token_warned:
            self.shut(codes.TOKEN_EXPIRED, "token expired")
            return
        grace = self._limits.token_grace_seconds
        self._token_warned = True
        self._token_until = now + grace
        self.send(AuthRequired(in_s=int(grace)), now)
