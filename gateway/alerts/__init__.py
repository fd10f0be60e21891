"""Alerts: what an operator wants to be told at once, as webhooks.

Watched from the stream, noted once in the archive's outbox, delivered from there until it is
taken. Nothing here is on a call's path.
"""
