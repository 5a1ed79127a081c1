"""What the engine and a guest agree on: devices, events, the seed, the guest channel."""
