"""The Postfix of this machine: its transports kept up to date, its queue moved by pauses and switches."""
