"""From what the engine has to what docker's clients expect: pure functions."""
