"""Errors in the verbs on money, and in what ends the calls of the living and the dead."""

from tests.simulator.fate import Weather
from tests.simulator.mutations import Change, Mutation, drop, swap

HARSH = Weather(calm=False, harsh=True)
LONELY = Weather(calm=False, turns={"outage": 6.0, "kill_gateway": 0.2, "kill_worker": 0.2})
"""Calls outlive their leases, and their gateways tell how they ended."""

LATE = Weather(
    calm=False, harsh=True, turns={"outage": 6.0, "kill_gateway": 0.2, "kill_worker": 0.2}
)
"""The same, and packets come long after they were sent."""

TURNING = Weather(calm=False, turns={"outage": 6.0, "jump": 4.0, "kill_worker": 0.2})
"""The same, and the days of one clock are not those of another."""

TOMBSTONED = "if redis.call('SISMEMBER', ended, request_id) == 1 then"
ENDED = "if has_ended and not posted then"
POSTED = "local posted, posted_ids = find_orphan(orphans, has_ended, request_id)"
REMEMBER = "remember_end(ended, request_id)\n"
PLAIN = "held = row[SPENT] + more, row[COST] + more_cost, "

LEDGER = (
    # An id ends once.
    swap("settle does not ask whether the call has ended", "settle", ENDED, "if false then"),
    swap("release does not ask whether the call has ended", "release", ENDED, "if false then"),
    swap("refuse does not ask whether the call has ended", "refuse", TOMBSTONED, "if false then"),
    swap("hold does not ask whether the call has ended", "hold", TOMBSTONED, "if false then"),
    swap("settle leaves no tombstone", "settle", REMEMBER + "post(", "post("),
    swap("release leaves no tombstone", "release", REMEMBER + "post(", "post("),
    swap("expire leaves no tombstone", "expire", REMEMBER + "remember_orphan", "remember_orphan"),
    Mutation(
        "a hold that is sent again is held again",
        (
            Change(
                "hold",
                (
                    ("if record then", "if false then"),
                    ("if not record and outcome == HELD and", "if outcome == HELD and"),
                ),
            ),
        ),
    ),
    swap(
        "a hold that is sent again is measured by its own change",
        "hold",
        "if not record then\n    if now_ms",
        "if true then\n    if now_ms",
        HARSH,
    ),
    drop(
        "a report leaves no mark under its key",
        "event",
        "    remember_key(buckets[1], idempotency_key, mark, keep_seconds)\n",
    ),
    # What is held comes off, and nothing else does.
    Mutation(
        "settle leaves the hold in what is held",
        (
            Change(
                "settle",
                (
                    ("        count_freed(row, changed, amount)\n", ""),
                    (PLAIN + "taken - off", PLAIN + "taken"),
                ),
            ),
        ),
    ),
    swap(
        "settle's plain sums leave the hold in what is held",
        "settle",
        PLAIN + "taken - off",
        PLAIN + "taken",
    ),
    drop(
        "settle leaves the hold's record", "settle", "    take_off(holds, expiries, request_id)\n"
    ),
    drop(
        "expire leaves the hold in what is held",
        "expire",
        "count_freed(row, changed, hold.amount)\n",
    ),
    swap(
        "renew revives the lease of a call that has ended",
        "renew",
        "    if redis.call('ZSCORE', expiries, request_id) then\n"
        "        redis.call('ZADD', expiries, 'XX', expiry_ms, request_id)",
        "    if true then\n        redis.call('ZADD', expiries, expiry_ms, request_id)",
    ),
    swap(
        "expire takes what has been renewed meanwhile",
        "expire",
        "if tonumber(redis.call('ZSCORE', expiries, request_id)) > now_ms then",
        "if false then",
        LATE,
    ),
    # An orphan is posted, and its truth replaces it.
    Mutation(
        "expire releases instead of posting",
        (
            Change(
                "expire",
                (
                    ("ids, hold.orphan, hold.orphan)\n", "ids, '0', '0')\n"),
                    ("number, hold.orphan, hold.orphan, hold", "number, '0', '0', hold"),
                    ("request_id, hold.orphan, hold.ids)", "request_id, '0', hold.ids)"),
                ),
            ),
        ),
    ),
    drop(
        "expire does not remember what it has posted",
        "expire",
        "remember_orphan(orphans, request_id, hold.orphan, hold.ids)\n",
    ),
    swap("settle takes an orphan for a duplicate", "settle", POSTED, "local posted = false"),
    swap("release takes an orphan for a duplicate", "release", POSTED, "local posted = false"),
    swap(
        "a late truth counts in the caller's windows",
        "release",
        "read_account(account), posted_ids,",
        "read_account(account), window_ids,",
        TURNING,
    ),
    drop(
        "settle corrects an orphan each time",
        "settle",
        "        redis.call('HDEL', orphans, request_id)\n",
        LONELY,
    ),
    # Nobody is admitted beyond a limit, and everybody up to it.
    swap(
        "hold does not count what is held",
        "hold",
        "sub_limbs(high, low, limbs(held))",
        "sub_limbs(high, low, limbs('0'))",
    ),
    swap(
        "hold checks by what was held a call ago",
        "hold",
        "outcome, granted = grant(unspent, held, wanted, least, share)",
        "local seen = redis.call('HGET', account, 'seen') or '0'\n"
        "    redis.call('HSET', account, 'seen', held)\n"
        "    outcome, granted = grant(unspent, seen, wanted, least, share)",
    ),
    swap(
        "hold looks at the total limit only",
        "hold",
        "    if period_limit ~= '' then",
        "    if false then",
    ),
    swap(
        "hold gives all that remains to the first",
        "hold",
        "high, low = share_of(high, low, share)",
        "high, low = share_of(high, low, 1)",
    ),
    swap(
        "hold grants less than the least",
        "hold",
        "less_limbs(high, low, least_high, least_low) and least or to_text(high, low)",
        "to_text(high, low)",
    ),
    swap(
        "hold grants the least beyond the limit",
        "hold",
        "        return NO_ROOM_YET, wanted",
        "        return GRANTED, least",
    ),
    swap(
        "hold decides by an old profile",
        "hold",
        "if not is_current(number_key, profile, number, version, KEYS[7]) then",
        "if false then",
    ),
    swap(
        "hold's plain sums do not count what is held",
        "hold",
        "local room_for = math.max(taken + wanted * (share - 1), held + least) * CLEARLY",
        "local room_for = math.max(wanted * share, least) * CLEARLY",
    ),
    swap(
        "hold's plain sums give all that remains to the first",
        "hold",
        "taken + wanted * (share - 1)",
        "taken",
    ),
    swap(
        "hold's plain sums look at the total limit only",
        "hold",
        "(period_limit == '' or inside",
        "(true or inside",
    ),
    swap(
        "hold's plain sums look at the period limit only",
        "hold",
        "(total_limit == '' or sum",
        "(true or sum",
    ),
    swap("money is doubles", "hold", "local EXACT = 15", "local EXACT = 40"),
    swap("money in plain sums is doubles", "hold", "local WHOLE = 2^53", "local WHOLE = 2^99"),
    swap("a charge is doubles", "settle", "local EXACT = 15", "local EXACT = 40"),
    swap("a charge in plain sums is doubles", "settle", "local WHOLE = 2^53", "local WHOLE = 2^99"),
    swap(
        "settle's plain sums are for any window",
        "settle",
        "if record and row[WINDOWS] == window_ids then",
        "if record and row[WINDOWS] then",
    ),
    swap(
        "settle's plain sums do not count what a call cost above its hold",
        "settle",
        "more >= 0 and more <= off and off <= taken",
        "more >= 0 and off <= taken",
    ),
    # A charge is in the window of its hold.
    swap(
        "windows move backward",
        "settle",
        "local is_later = id ~= '0' and tonumber(id) > tonumber(current)",
        "local is_later = id ~= '0'",
    ),
    swap(
        "a charge is in the window of its end",
        "settle",
        "changed, window_ids = counted(account, row, window_ids, charge, cost)",
        "local day = string.match(row[WINDOWS] or window_ids, '^%d+')\n"
        "window_ids = string.gsub(window_ids, '^%d+', day)\n"
        "changed, window_ids = counted(account, row, window_ids, charge, cost)",
    ),
    swap(
        "an event does not name the window that it opens",
        "settle",
        "if ids[i] == opened[i] or place(account, row, changed, i, opened, ids, charge, cost) then",
        "local is_open = ids[i] == opened[i]\n"
        "if not is_open then place(account, row, changed, i, opened, ids, charge, cost) end\n"
        "if is_open then",
    ),
    swap(
        "a late truth does not name the windows of its orphan",
        "settle",
        "changed, window_ids = counted(account, row, posted_ids, more_charge, more_cost)",
        "changed = counted(account, row, posted_ids, more_charge, more_cost)\n"
        "window_ids = '0 0 0 0 0 0'",
    ),
    drop(
        "a window begins by the clock of a gateway whose hold was lost",
        "settle",
        "        window_ids = begun(row[WINDOWS] or NO_WINDOWS, window_ids)\n",
    ),
    swap(
        "a charge is in the windows that its caller believes in",
        "settle",
        "amount, window_ids = string.match(",
        "amount = string.match(",
        TURNING,
    ),
    swap(
        "hold believes the caller's clock",
        "hold",
        "if now_ms < valid_from or now_ms >= valid_until then",
        "if false then",
    ),
    # Whoever lives ends what it has begun, and whoever comes after the dead does.
    swap(
        "a call cancelled while it is held is forgotten",
        "gateway.ledger.holding:Holding.hold",
        "if attempt.in_doubt:",
        "if False:",
    ),
    swap(
        "a hold whose reply was lost is forgotten",
        "gateway.ledger.holding:Holding._without_store",
        "if passed is None and attempt.in_doubt:",
        "if False:",
    ),
    swap(
        "a withdrawal that did not arrive is not tried again",
        "gateway.ledger.endings:Endings.withdraw",
        "self.later(ending)",
        "pass",
    ),
    swap(
        "a settle that did not arrive is not tried again",
        "gateway.ledger.endings:Endings.tell_or_keep",
        "    except LedgerUnavailable:\n        self.later(ending)",
        "    except LedgerUnavailable:\n        pass",
    ),
    swap(
        "a lease is not renewed while its call lives",
        "gateway.ledger.leases:Leases.begin",
        "self._live[hold.request_id] = hold",
        "pass",
    ),
    swap(
        "the final amount is not written down",
        "gateway.ledger.ledger:Ledger.note",
        "self._wal.end(ending)",
        "pass",
    ),
    swap(
        "a call that was sent back once is taken for ended",
        "gateway.ledger.wal.debts:Debts._note",
        "call.intent, call.confirmed = record, False",
        "call.intent = record",
    ),
    swap(
        "a log that was taken over is forgotten with the store away",
        "gateway.ledger.continuity:Continuity._take_over",
        "self._inherited += await",
        "self._inherited = await",
    ),
    swap(
        "a dead gateway's calls are free",
        "gateway.ledger.wal.records:ending_of_the_dead",
        "charge_pico=so_far.charge_pico if so_far else 0",
        "charge_pico=0",
    ),
)
