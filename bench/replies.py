"""The reply classifier against collected replies: a confusion table a provider, and reports a second.

``python -m bench.replies`` prints, ``--write`` writes docs/replies.md. How the truth is labelled stands in
``bench/reply_truth.py``.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench import reply_truth
from bench.measure import spread
from bench.reply_truth import Line
from domain.replies import classify
from domain.replies.reading import take_apart
from domain.replies.rules import Rules, files
from domain.replies.words import IP_EVENTS
from domain.reports import read

DOC = Path(__file__).resolve().parents[1] / "docs" / "replies.md"
PRECISION_AIM, RECALL_AIM, SPEED_AIM = 0.98, 0.95, 2_000
PROVIDERS = {
    "Google": "gmail",
    "google": "gmail",
    "Microsoft": "microsoft",
    "outlook": "microsoft",
    "exchangeonline": "microsoft",
}


@dataclass
class Counts:
    """Of the lines of one provider."""

    lines: int = 0
    open: int = 0
    hit: int = 0
    wrong: int = 0
    missed: int = 0
    clean: int = 0
    reasons: int = 0
    agreed: int = 0

    @property
    def precision(self) -> float:
        """Share of what we call an IP event that is one; 1 when we call none."""
        return self.hit / (self.hit + self.wrong) if self.hit + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """Share of the IP events that we call one; 1 when there is none."""
        return self.hit / (self.hit + self.missed) if self.hit + self.missed else 1.0


def count(lines: Iterable[Line]) -> tuple[dict[str, Counts], list[tuple[Line, str]]]:
    """Counts by provider and under ``all``, and the lines that were read wrongly."""
    counts: dict[str, Counts] = defaultdict(Counts)
    wrong: list[tuple[Line, str]] = []
    for line in lines:
        # Fragments and the shortest lines name no provider; whose server replied is known when mail is sent.
        reply = classify(line.text, PROVIDERS.get(line.provider, line.provider))
        for one in (counts[PROVIDERS.get(line.provider, line.provider)], counts["all"]):
            one.lines += 1
            one.open += line.ip_event is None
            one.hit += line.ip_event is True and reply.ip_event
            one.missed += line.ip_event is True and not reply.ip_event
            one.wrong += line.ip_event is False and reply.ip_event
            one.clean += line.ip_event is False and not reply.ip_event
            one.reasons += bool(line.agrees)
            one.agreed += reply.class_ in line.agrees
        if line.ip_event is not None and line.ip_event != reply.ip_event:
            wrong.append((line, f"{reply.class_} by {reply.rule}"))
    return dict(counts), wrong


def table(counts: dict[str, Counts]) -> list[str]:
    """The confusion table, a provider a row."""
    rows = [
        "| provider | lines | IP event, found | missed | no IP event, left alone | called one | open | class agrees |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name in sorted(counts, key=lambda one: (one == "all", -counts[one].lines, one)):
        one = counts[name]
        agrees = f"{one.agreed} of {one.reasons}" if one.reasons else ""
        rows.append(
            f"| {name} | {one.lines} | {one.hit} | {one.missed} | {one.clean} | {one.wrong} | {one.open} | {agrees} |"
        )
    return rows


def general_rules(lines: Sequence[Line]) -> Counts:
    """What the general rules alone make of the lines: as if every provider were one that nobody knows."""
    general = Rules([file for file in files(None) if not file.name.startswith("2")])
    counts = Counts()
    for line in lines:
        rule = general.first(take_apart(line.text), "")
        event = rule is not None and rule.given.class_ in IP_EVENTS
        counts.hit += line.ip_event is True and event
        counts.missed += line.ip_event is True and not event
        counts.wrong += line.ip_event is False and event
    return counts


def _read_all(job: tuple[list[bytes], float]) -> int:
    mails, seconds = job
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for mail in mails:
            read(mail)
        done += len(mails)
    return done


def speed(mails: list[bytes], *, processes: int = 2, seconds: float = 3.0, rounds: int = 3) -> list[float]:
    """Reports read and classified a second, on as many processes, once a round."""
    rates = []
    with ProcessPoolExecutor(processes) as pool:
        list(pool.map(_read_all, [(mails, 0.1)] * processes))
        for _ in range(rounds):
            began = time.perf_counter()
            done = sum(pool.map(_read_all, [(mails, seconds)] * processes))
            rates.append(done / (time.perf_counter() - began))
    return rates


def mails() -> list[bytes]:
    """The reports of the corpora, each also with 20 other replies, so that not every reply was seen before."""
    files = sorted((reply_truth.CORPORA / "dsn_arf").glob("*.eml"))
    originals = [file.read_bytes() for file in files]
    replies = [line.text for line in reply_truth.manual()]
    made = []
    for place, text in enumerate(replies):
        one = originals[4].replace(b"552 <recipient@domain.com> rejected: over quota", text.encode()[:900])
        made.append(one.replace(b"recipient@domain.com", f"user{place}@example.net".encode()))
    return originals + made


def new_lines(*, seconds: float = 3.0) -> float:
    """Replies that were never seen before, read one after the other in this process, a second."""
    texts = [line.text for line in (*reply_truth.manual(), *reply_truth.sisimai())]
    done, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        for text in texts:
            classify(f"{text} {done:x}q")
            done += 1
    return done / (time.process_time() - began)


async def main() -> float:
    """For ``make bench``: prints, answers the rate in terms of its aim."""
    return report(write=False)


def report(*, write: bool) -> float:
    """Print what was counted and measured, and write the document if asked."""
    if not reply_truth.MANUAL.exists():
        sys.stderr.write(f"{reply_truth.CORPORA} is not there: nothing to compare the classifier with.\n")
        return 0.0
    lines = [*reply_truth.manual(), *reply_truth.sisimai()]
    counts, wrong = count(lines)
    whole = counts["all"]
    rates = speed(mails())
    middle = statistics.median(rates)
    said = [
        f"IP events: precision {whole.precision:.3f} (aim {PRECISION_AIM}), recall {whole.recall:.3f} "
        f"(aim {RECALL_AIM}): {whole.hit + whole.missed} events in {whole.lines} lines, {whole.open} lines open.",
        f"Class agrees with the reason where a corpus gives one: {whole.agreed} of {whole.reasons}.",
        f"Reports read and classified by two processes: {spread(rates)} a second in {len(rates)} rounds "
        f"(aim {SPEED_AIM:,}), load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
        f"Replies of which each is new, read by one process: {new_lines():,.0f} a second of processor time.",
    ]
    print("\n".join(said))
    for line, reading in wrong:
        print(f"  {'missed' if line.ip_event else 'called one'}: {line.provider}: {line.text[:150]} -> {reading}")
    if write:
        DOC.write_text(document(counts, said, general_rules(lines), wrong))
        print(f"written: {DOC.name}")
    return middle / SPEED_AIM


def document(counts: dict[str, Counts], said: list[str], general: Counts, wrong: list[tuple[Line, str]]) -> str:
    """docs/replies.md."""
    misread = [f"- {line.provider}: `{line.text[:160]}`: {reading}" for line, reading in wrong] or ["- none"]
    return "\n".join(
        [
            "# The reply classifier against replies that nobody here wrote",
            "",
            "Written by `python -m bench.replies --write`. The lines are collected replies, not part of this",
            "repository (tables that others publish); how each was labelled stands in `bench/reply_truth.py`: by codes",
            "that providers document and the tables' own columns, never by what the classifier answers. *Open* lines",
            "are those whose columns name the IP only as one of several causes, or name nothing; they are counted and",
            "not judged.",
            "",
            *(f"- {one}" for one in said),
            "- The general rules alone, without the rules made for a provider: IP events with precision "
            f"{general.precision:.3f}, recall {general.recall:.3f}.",
            "",
            "Who wrote the rules had read these lines: the table shows how known words are read, it is no proof for",
            "unseen ones. How the rules did on replies from other sources, when they first met them, stands in",
            "docs/guide/replies.md.",
            "",
            *table(counts),
            "",
            "Lines read otherwise than labelled:",
            "",
            *misread,
            "",
        ]
    )


if __name__ == "__main__":
    report(write="--write" in sys.argv[1:])
