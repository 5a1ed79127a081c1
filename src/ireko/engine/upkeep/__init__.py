"""Upkeep: disks without what they don't need, and what is written down held against what is there."""
