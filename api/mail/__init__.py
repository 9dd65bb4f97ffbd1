"""The way in by mail: reports that mail systems send back become the events that webhooks make."""
