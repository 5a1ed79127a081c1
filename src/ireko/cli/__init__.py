"""The command line: one file for each noun or group of verbs, imported when it is used."""
