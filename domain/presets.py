"""Warm-up ladders that peers publish; numbers are facts of their documentation."""

from __future__ import annotations

from pydantic import BaseModel

from domain.refusals import Refused

K, M = 1_000, 1_000_000


class Preset(BaseModel):
    """One published ladder, in mails a day; an hourly one carries ``hourly`` too."""

    name: str
    title: str
    source: str
    ladder: list[int] = []
    hourly: bool = False
    step_days: int = 1


_SENDGRID_HOURLY = [
    20, 28, 39, 55, 77, 108, 151, 211, 295, 413, 579, 810, 1000, 1587, 2222, 3111, 4356, 6098, 8583,
    11953, 16734, 23427, 32798, 45917, 64284, 89998, 125997, 176395, 246953, 345735, 484029, 677640,
    948696, 1328175, 1859444, 2603222,
]  # fmt: skip
_SENDGRID = [50, 100, 500, K, 5 * K, 10 * K, 20 * K, 40 * K, 70 * K, 100 * K, 150 * K, 250 * K, 400 * K,
             600 * K, M, 2 * M, 4 * M]  # fmt: skip
_SPARKPOST = [200, 500, K, 2 * K, 5 * K, 10 * K, 20 * K, 40 * K, 50 * K, 75 * K, 100 * K, 150 * K, 200 * K,
              250 * K, 325 * K, 400 * K, 500 * K, 600 * K, 750 * K, M, 1_250_000, 1_750_000, 2 * M, 3 * M,
              4_250_000, 5 * M, 6 * M, 7_500_000, 10 * M]  # fmt: skip
_MAILTRAP = [300, 390, 510, 660, 860, 1100, 1400, 1900, 2400, 3200, 4100, 5400, 7000, 9100, 11800, 15400,
             20000, 26000, 33700, 43900, 57000]  # fmt: skip

PRESETS = {
    one.name: one
    for one in (
        Preset(name="every_3_days", title="25 % every 3 days", source="operator's IP guide", step_days=3),
        Preset(name="sendgrid_automated", title="SendGrid automated", source="SendGrid, IP warm-up",
               ladder=[24 * rate for rate in _SENDGRID_HOURLY], hourly=True),
        Preset(name="sendgrid_manual", title="SendGrid manual", source="SendGrid, IP warm-up", ladder=_SENDGRID),
        Preset(name="sparkpost", title="SparkPost", source="SparkPost, IP warm-up", ladder=_SPARKPOST),
        Preset(name="mailtrap", title="Mailtrap", source="Mailtrap, IP warm-up", ladder=_MAILTRAP),
    )
}  # fmt: skip


def get(name: str) -> Preset:
    """A preset by name.

    Raises:
        Refused: there is none of that name.
    """
    if name not in PRESETS:
        raise Refused(f"{name!r} is no preset; choose one of {', '.join(PRESETS)}.", field="preset", code="preset")
    return PRESETS[name]
