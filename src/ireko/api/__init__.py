"""The Docker Engine API, and our own routes beside it: decode, call the engine, encode."""
