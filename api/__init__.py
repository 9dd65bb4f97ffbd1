"""The HTTP way in: thin, it sends updates and signals and reads the read model."""
