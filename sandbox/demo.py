"""``make demo``: the main journey on the running system, told as it happens."""

from __future__ import annotations

import os
import sys
import time
import uuid

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from sandbox import tour, zones
from sandbox.caller import Caller, Failed, Json
from sandbox.environment import prepare
from settings import Settings

TARGET = 240
"""Mails a day at which the tour's warm-up ends."""

WARM_UP_SECONDS = 150.0

TRIES = 3
"""Somebody else may take the recommended address between quote and purchase."""


class Tour:
    """The story of two IPs: DNS by itself, DNS by hand, one warm-up each."""

    def __init__(self, settings: Settings, out: Console) -> None:
        self._settings = settings
        self._api = Caller(settings)
        self._out = out
        self._run = uuid.uuid4().hex[:8]
        self._began = time.monotonic()

    def tell(self, sentence: str) -> None:
        """One line of the story."""
        self._out.print(f"[dim]{time.monotonic() - self._began:5.1f} s[/dim]  {sentence}", highlight=False)

    def play(self) -> None:
        """Run it; Failed says where it ended."""
        automatic = self._buy(zones.AUTOMATIC_DOMAINS[0], f"mta-{self._run}")
        by_hand = self._buy(zones.MANUAL_DOMAINS[0], f"mta-{self._run}")
        self._type_in(by_hand, zones.MANUAL_DOMAINS[0])
        for address in (automatic, by_hand):
            self._wait_for_dns(address)
        for address in (automatic, by_hand):
            tour.start_warmup(self._api, address, TARGET, f"demo-{self._run}-{address}")
            self.tell(f"[bold]{address}[/bold] starts its warm-up: 50 a day, +30 % a day, up to {TARGET}.")
        self._warm((automatic, by_hand))
        took = time.monotonic() - self._began
        self.tell(f"[green]Both IPs are at full capacity[/green], {took:.0f} s after the first click.")

    def _buy(self, domain: str, label: str) -> str:
        for attempt in range(1, TRIES + 1):
            key = f"{self._run}-{domain}-{attempt}"
            order = tour.order(self._api, self._settings, domain, f"{label}.{domain}", f"order-{key}")
            vetted = ", ".join(f"{c['address']} {c['verdict']}" for c in order["candidates"][:4])
            self.tell(f"Order {order['id']} for {domain}; vetted before any money moves: {vetted}")
            try:
                bought = tour.purchase(self._api, order["id"], f"buy-{key}")
            except Failed as error:
                if attempt == TRIES:
                    raise
                self.tell(f"{error} Nothing was charged; the tour orders again.")
                continue
            address = tour.first_address(bought)
            self.tell(f"Paid and handed over: [bold]{address}[/bold], payment {bought['payment']['status']}.")
            return address
        raise Failed(f"No address for {domain} after {TRIES} orders.")

    def _type_in(self, address: str, domain: str) -> None:
        path = f"/v1/ips/{address}/dns"
        dns = self._api.until(path, lambda d: bool(d.get("records")), 30)
        entered = tour.Registrar(self._settings).enter(domain, dns["records"])
        self.tell(f"The registrar of {domain} enters {len(entered)} records by hand: {', '.join(entered)}")
        self._api.post(f"{path}/verify")

    def _wait_for_dns(self, address: str) -> None:
        said: list[str] = []

        def follow(ip: Json) -> None:
            waits = str(ip.get("waiting_for") or "")
            if waits and waits not in said:
                said.append(waits)
                self.tell(f"{address} waits for {waits}")

        tour.until_active(self._api, address, follow)
        self.tell(f"[bold]{address}[/bold] is [green]Active[/green]: every record published and visible.")

    def _warm(self, addresses: tuple[str, ...]) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[cap]} a day"))
        with Progress(*columns, TimeElapsedColumn(), console=self._out) as progress:
            bars = {a: progress.add_task(a, total=TARGET, cap=50) for a in addresses}
            told: dict[str, int] = dict.fromkeys(addresses, 0)
            for address in addresses:

                def follow(_: Json) -> None:
                    for each in addresses:
                        told[each] = self._day(each, told[each])
                        cap = int(self._api.get(f"/v1/ips/{each}").get("daily_cap") or 0)
                        progress.update(bars[each], completed=min(cap, TARGET), cap=cap)

                path = f"/v1/ips/{address}"
                self._api.until(path, lambda ip: ip["stage"] == "full_capacity", WARM_UP_SECONDS, follow)

    def _day(self, address: str, seen: int) -> int:
        history = self._api.get(f"/v1/ips/{address}/warmup").get("history") or []
        for day in history[seen:]:
            self.tell(
                f"{address} {day['date']}: {day['attempted']} of {day['cap']} sent, "
                f"{day['bounced']} bounced: {day['decision']} - {day['reason']}"
            )
        return len(history)


def main() -> int:
    """Play the tour; the answer is the exit code."""
    out = Console()
    os.environ.update(prepare(Settings()))
    try:
        Tour(Settings(), out).play()
    except (Failed, OSError) as error:
        out.print(f"[red]The tour ended early:[/red] {error}")
        return 1
    except KeyboardInterrupt:
        out.print("The tour was interrupted; what it started goes on.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
