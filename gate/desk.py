"""Answers questions out of memory: routes as last read, blocks as leased. No await, no store here."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from domain.allowance import Allowance
from domain.blocks import FIRST, PART, Block, next_pace, wanted
from domain.routing import Exit, Party, Routes, ranked, refusal, transport_name
from domain.words import MailboxProvider

#: Seconds a refusal of the ledger is believed: another gate may give allowance back.
REFUSED_SECONDS = 0.5
#: Seconds a block may lie untouched before it is given back.
IDLE_SECONDS = 2.0
#: Blocks from this size on are followed by the next one when half of them is used.
FETCH_AHEAD = 16
#: Known lines and remembered messages; the oldest half is forgotten past them.
LINES, MESSAGES = 50_000, 200_000
#: Characters of addresses and instances that are remembered: a mail address has at most 254 (RFC 5321). What is longer
#: is counted each time it is asked for.
LONGEST = 1_000

Key = tuple[str, MailboxProvider]


@dataclass(frozen=True, slots=True)
class Allow:
    """One mail is granted from ``address``."""

    address: str
    policy: bytes = b""


@dataclass(frozen=True, slots=True)
class Defer:
    """No; the reason is for the mail log and the sender."""

    reason: str


@dataclass(frozen=True, slots=True)
class Need:
    """The answer takes a block that is not in memory."""

    exit: Exit
    provider: MailboxProvider


@dataclass(frozen=True, slots=True)
class Look:
    """The answer takes a choice between IPs, and what they have left is not known."""

    addresses: tuple[str, ...]
    provider: MailboxProvider


@dataclass(slots=True)
class Line:
    """What is known of one login and envelope sender."""

    party: Party
    stopped: str
    tiers: tuple[tuple[str, ...], ...]
    current: dict[MailboxProvider, Block] = field(default_factory=dict)


#: A message that passes: the IP that all its recipients leave by, and those that were counted. Most have one.
Message = tuple[str, str | set[str]]


class Desk:
    """The memory of one gate.

    Args:
        filters: answer a granted mail with the transport of its IP; else only let it pass.
        next_hop: where that transport delivers to; empty for the recipient's MX.
        most: largest block.
        ahead: called when a block runs low, to lease the next one in good time.
        now_ms: the clock of windows.
    """

    def __init__(
        self,
        *,
        filters: bool = True,
        next_hop: str = "",
        most: int = 1000,
        ahead: Callable[[Need], None] = lambda _: None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.routes: Routes | None = None
        self.fingerprint = ""
        self.readings = 0
        self.blocks: dict[Key, Block] = {}
        self._ahead = ahead
        self._filters, self._next_hop, self._most = filters, next_hop, most
        self._now_ms, self._monotonic = now_ms, monotonic
        self._refused: dict[Key, tuple[str, float]] = {}
        self._pace: dict[Key, int] = {}
        self._room: dict[Key, int] = {}
        self._shares: dict[Key, tuple[float, int]] = {}
        self._closed: dict[str, str] = {}
        self._lines: dict[tuple[str, str], Line] = {}
        self._messages: dict[str, Message] = {}
        self._messages_before: dict[str, Message] = {}
        self._allow: dict[str, Allow] = {}

    # Routes.

    def install(self, routes: Routes) -> None:
        """Take a new reading; what was refused may be granted now, what was open may be closed."""
        self.routes, self.fingerprint = routes, routes.fingerprint()
        self.readings += 1
        self._closed = {one: why for one in routes.exits if (why := routes.closed(one))}
        self._lines.clear()
        self._refused.clear()
        self._shares.clear()

    def line(self, login: str, mail_from: str) -> Line | Defer:
        """What is known of a sender."""
        found = self._lines.get((login, mail_from))
        if found is not None:
            return found
        if self.routes is None:
            return Defer("the gate has not read its caps yet; try again in a moment")
        party = self.routes.party(login, mail_from)
        if party is None:
            who = f"login {login}" if login else f"sender {mail_from or '<>'}"
            return Defer(f"no sender is known for {who}; name its login or domain in Warmpath")
        if len(self._lines) >= LINES:
            self._lines.clear()
        made = Line(party, self.routes.stopped(party), self.routes.tiers(party))
        if len(login) + len(mail_from) <= LONGEST:
            self._lines[(login, mail_from)] = made
        return made

    def where(self, line: Line) -> Allow | Defer:
        """The IP that mail of a line leaves by now; nothing is granted."""
        if line.stopped:
            return Defer(line.stopped)
        open_ = [one for tier in line.tiers for one in tier if one not in self._closed]
        for block in line.current.values():
            if block.address in open_:
                return self._allowed(block.address)
        if open_:
            return self._allowed(open_[0])
        return self._deferred(line, [self._closed[one] for tier in line.tiers for one in tier])

    # Questions.

    def decide(
        self, line: Line, provider: MailboxProvider, instance: str, recipient: str
    ) -> Allow | Defer | Need | Look:
        """Grant one mail, say why not, or say what is missing."""
        if line.stopped:
            self.counts["paused"] += 1
            return Defer(line.stopped)
        message = self._messages.get(instance) or self._messages_before.get(instance)
        if message is None:
            block = line.current.get(provider)
            if block is None or block.left <= 0 or self._now_ms() >= block.ends_ms:
                found = self._choose(line.tiers, provider, line)
                if not isinstance(found, Block):
                    return found
                block = line.current[provider] = found
        else:
            address, seen = message
            if recipient == seen if isinstance(seen, str) else recipient in seen:
                if address in self._closed:
                    return Defer(self._closed[address])
                self.counts["repeated"] += 1
                return self._allowed(address)
            found = self._choose(((address,),), provider, line)
            if not isinstance(found, Block):
                return found
            block = found
        block.left -= 1
        if block.size >= FETCH_AHEAD and block.left == block.size // 2:
            self._fetch_ahead(block)
        if instance and len(instance) + len(recipient) <= LONGEST:
            if message is None:
                self._messages[instance] = (block.address, recipient)
                if len(self._messages) >= MESSAGES:
                    self.forget_messages()
            elif isinstance(message[1], set):
                message[1].add(recipient)
            else:
                self._messages[instance] = (block.address, {message[1], recipient})
        self.counts["allowed"] += 1
        return self._allow.get(block.address) or self._allowed(block.address)

    def _choose(
        self, tiers: tuple[tuple[str, ...], ...], provider: MailboxProvider, line: Line
    ) -> Block | Need | Look | Defer:
        """The block to spend: of the first group with any room, the IP with the largest part of its cap left."""
        now_ms, moment, reasons = self._now_ms(), self._monotonic(), []
        for tier in tiers:
            held: dict[str, float] = {}
            able: list[str] = []
            for address in tier:
                if (closed := self._closed.get(address)) is not None:
                    reasons.append(closed)
                    continue
                key = (address, provider)
                block = self.blocks.get(key)
                if block is not None and block.left > 0 and now_ms < block.ends_ms:
                    held[address] = block.share
                    continue
                refused = self._refused.get(key)
                if refused is not None and refused[1] > moment:
                    reasons.append(refused[0])
                    continue
                able.append(address)
            if held:
                return self.blocks[ranked(held, held)[0], provider]
            found = self._first(able, provider, now_ms)
            if found is not None:
                return found
        return self._deferred(line, reasons)

    def _first(self, able: list[str], provider: MailboxProvider, now_ms: int) -> Need | Look | None:
        """The IP of a group to lease from; none when it has none."""
        shares: dict[str, float] = {}
        if len(able) > 1:
            # What was left yesterday, or before a cap was changed, says nothing about now.
            known = {one: had for one in able if (had := self._shares.get((one, provider))) and now_ms < had[1]}
            if len(known) < len(able):
                return Look(tuple(able), provider)
            shares = {one: share for one, (share, _) in known.items()}
        exits = self.routes.exits if self.routes else {}
        return next((Need(exits[one], provider) for one in ranked(able, shares) if one in exits), None)

    def learn(self, look: Look, found: Mapping[str, tuple[Allowance, int]]) -> None:
        """Take what the ledger says IPs have left, and until when that holds; of the others nothing is known."""
        soon = self._now_ms() + int(REFUSED_SECONDS * 1000)
        for address in look.addresses:
            key = (address, look.provider)
            had, until = found.get(address, (None, soon))
            if had is not None:
                self._room[key] = had.room
            self._shares[key] = (had.share if had else 1.0, max(until, soon))

    def _deferred(self, line: Line, reasons: list[str]) -> Defer:
        self.counts["deferred"] += 1
        return Defer(refusal(line.party, reasons))

    def _allowed(self, address: str) -> Allow:
        found = self._allow.get(address)
        if found is None:
            action = f"FILTER {self.transport(address)}" if self._filters else "DUNNO"
            found = self._allow[address] = Allow(address, f"action={action}\n\n".encode())
        return found

    def transport(self, address: str) -> str:
        """The transport of an IP with its next hop, as Postfix writes the two."""
        return f"{transport_name(address)}:{self._next_hop}"

    def _fetch_ahead(self, block: Block) -> None:
        found = self.routes.exits.get(block.address) if self.routes else None
        if found is not None and block.room > 0:
            self._ahead(Need(found, block.provider))

    # Blocks.

    def size(self, key: Key, waiting: int) -> int:
        """Mails to lease for an IP and provider that ``waiting`` questions wait for."""
        block, pace = self.blocks.get(key), self._pace.get(key, FIRST)
        if block is not None:
            used = block.size - block.left
            pace = next_pace(pace, used, self._monotonic() - block.taken_at, self._most)
            self._pace[key] = pace
        room = self._room.get(key)
        return wanted(pace, PART * FIRST if room is None else room, waiting, self._most)

    def put(self, block: Block) -> Block | None:
        """Hold a leased block; answers the one it replaces when that has to be given back."""
        key = (block.address, block.provider)
        self._refused.pop(key, None)
        self._room[key], self._shares[key] = block.room, (block.share, block.ends_ms)
        old = self.blocks.get(key)
        self.counts["leased"] += block.size
        block.taken_at = block.seen_at = self._monotonic()
        if old is not None and old.left > 0 and (old.starts_ms, old.hour) == (block.starts_ms, block.hour):
            old.left += block.left
            old.size = old.left
            old.room, old.share, old.ends_ms, old.taken_at = block.room, block.share, block.ends_ms, block.taken_at
            return None
        self.blocks[key] = block
        return _taken_out(old) if old is not None and old.left > 0 else None

    def refuse(self, key: Key, reason: str, until_ms: int) -> None:
        """The ledger granted nothing; believed for a moment, and as what is left until ``until_ms``."""
        self._refused[key] = (reason, self._monotonic() + REFUSED_SECONDS)
        self._room[key], self._shares[key] = 0, (0.0, until_ms)

    def unused(self, cut: set[str] | None = None) -> list[Block]:
        """Take out the blocks to give back: over, idle, of an IP that is closed or whose cap was cut."""
        now_ms, moment, out = self._now_ms(), self._monotonic(), []
        for key, block in list(self.blocks.items()):
            if block.left != block.seen_left:
                block.seen_left, block.seen_at = block.left, moment
            gone = self.routes is not None and block.address not in self.routes.exits
            idle = moment - block.seen_at >= IDLE_SECONDS
            cut_off = gone or block.address in self._closed or (cut is not None and block.address in cut)
            if not (cut_off or idle or now_ms >= block.ends_ms):
                continue
            del self.blocks[key]
            if idle:
                self._pace[key] = max(1, min(self._pace.get(key, FIRST), block.size - block.left))
            if block.left > 0:
                out.append(_taken_out(block))
        return out

    def all_blocks(self) -> list[Block]:
        """Take out everything, to give it back at the end."""
        out = [_taken_out(one) for one in self.blocks.values() if one.left > 0]
        self.blocks.clear()
        return out

    def forget_messages(self) -> None:
        """Forget the older half of the messages that passed; called when many came, and every few minutes."""
        self._messages_before, self._messages = self._messages, {}


def _taken_out(block: Block) -> Block:
    """What is left of a block; whoever still points to the block finds it empty."""
    copy = Block(block.address, block.provider, block.starts_ms, block.hour, block.size, block.left, block.ends_ms)
    block.left = 0
    return copy
