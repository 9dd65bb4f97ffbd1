"""Pure rules: no clock, no network, no database. Standard library and pydantic only."""
