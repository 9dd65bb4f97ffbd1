"""DNS: asking it, and publishing into it."""
