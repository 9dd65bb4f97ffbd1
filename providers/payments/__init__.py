"""Payment providers: one port, one file an adapter."""
