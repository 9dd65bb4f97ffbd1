"""Vendors of IP addresses: one port, one file an adapter, one registry line each."""
