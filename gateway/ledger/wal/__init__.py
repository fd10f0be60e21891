"""The gateway's own log: what a call owes is on this machine's disk before it is owed.

`frames` is the format on disk, `records` what a frame says, `debts` what a series of records
comes to, `files` the folder and who owns what in it, `log` the log of one living process.
"""
