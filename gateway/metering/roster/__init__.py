"""The roster: all customers, as the users list sorts, searches, filters and shows them.

    {fb}rows     hash  member -> stamp, texts, row       member: <partition>:<number>
    {fb}ix:<order>  zset  one for each column that a list can be sorted by

It is derived: profiles and counters say what is true, and the roster follows them. Whatever
changes either says so in the same script (``lib/mark.lua``), in ``{p}r``; the indexer reads
what is there by then and writes the rows anew. So a page of any order is one round trip,
and nothing that dies in between leaves a row behind for good.
"""
