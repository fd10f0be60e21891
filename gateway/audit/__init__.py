"""Checking the books: what accounts and counters say, against the events that explain them.

`snapshot` reads one instant of a partition, `tally` and `fold` add up its events, `compare`
says where they differ. Differences are data: they go into a report, the log and a metric,
and never change a balance. `rebuild` writes counters anew, which are only a fold of events.
"""
