"""What the commands of `luigi-traffic` show and do, one file a command.

Each has a function that returns its findings as a list of dicts (the output of `--json`)
and one that draws them for people.
"""
