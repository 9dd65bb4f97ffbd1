"""Effects on the world, retryable: each activity may run twice and must not do twice."""
