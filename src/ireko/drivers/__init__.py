"""Hypervisor back ends, each behind the contract in `base`."""
