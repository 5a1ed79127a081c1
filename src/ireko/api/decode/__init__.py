"""From what a client sent to what the engine takes: pure functions."""
