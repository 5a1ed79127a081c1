"""The host's programs and files: the only package that starts a program."""
