"""What other systems post: one file a source, each checks its signature and speaks the domain's events."""
