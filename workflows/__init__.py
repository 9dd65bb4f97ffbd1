"""The journeys, as durable processes."""
