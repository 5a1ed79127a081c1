"""Images as one file: an archive with their layers, what they boot with and their settings. docs/archive.md defines it."""
