"""How long AWS is waited for by a call of a journey."""

from __future__ import annotations

from botocore.config import Config

#: Both tries together end before the activity's own time limit (30 s, ``workflows/options.py``): a call that went on
#: in its thread after that could still allocate an address or change a record that the next attempt asks for anew.
#: Longer waits are the journey's; botocore's own defaults are 60 s a try, five times.
PATIENCE = Config(
    connect_timeout=4, read_timeout=9, retries={"mode": "standard", "total_max_attempts": 2}, tcp_keepalive=True
)
