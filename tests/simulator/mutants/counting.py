"""Errors in what counts, archives and trims the streams."""

from tests.simulator.fate import Weather
from tests.simulator.mutations import Change, Mutation, drop, swap

LOSING = Weather(loses=True, turns={"lose": 4.0})
TRIMMING = Weather(turns={"lag": 10.0})
"""All trim at the same time."""

LAGGING = Weather(shared=True, turns={"lag": 10.0})

COUNTING = (
    swap(
        "apply does not compare the cursor",
        "apply",
        "(redis.call('HGET', cursors, cursor) or '') ~= expected\n    or ",
        "",
    ),
    drop("apply leaves the cursor", "apply", "redis.call('HSET', cursors, cursor, new)\n"),
    swap(
        "the archive's cursor moves though its disk is full",
        "gateway.metering.archive_sink:ArchiveSink.take",
        "        return [False] * len(tails)\n",
        "",
    ),
    swap(
        "apply counts what the store has lost",
        "apply",
        "\n    or #redis.call('XRANGE', stream, new, new) == 0 then",
        " then",
        LOSING,
    ),
    # What is trimmed is in the checkpoints, and nobody needs it any more.
    drop(
        "trim leaves the checkpoints",
        "trim",
        "    redis.call('HSET', checkpoints, unpack(ARGV, FIRST_FIELD))\n",
    ),
    swap(
        "a checkpoint forgets what was trimmed before",
        "gateway.metering.trimmer:Trimmer._trim_partition",
        "known[number].plus(more)",
        "more",
    ),
    swap(
        "a checkpoint forgets what was trimmed of a window",
        "gateway.metering.checkpoints:Checkpoint.plus",
        "self.in_windows.plus(other.in_windows)",
        "other.in_windows",
    ),
    swap(
        "trim does not compare where it stands",
        "trim",
        "(places[1] or '') ~= expected or #redis",
        "#redis",
        TRIMMING,
    ),
    swap(
        "trim leaves the last entry",
        "trim",
        "redis.call('XTRIM', stream, 'MINID', '=', next_id)",
        "redis.call('XTRIM', stream, 'MINID', '=', last)",
    ),
    Mutation(
        "trim drops what is not counted or archived",
        (
            Change(
                "trim",
                (("not has_passed(places[2], last) or not has_passed(places[3], last)", "false"),),
            ),
            Change(
                "gateway.metering.trimmer:Trimmer._trim_partition",
                (("if need.place < halves(hot_edge):", "if False:"),),
            ),
        ),
    ),
    Mutation(
        "trim drops what a group has not counted",
        (
            Change(
                "gateway.metering.trimmer:Trimmer._needs",
                (
                    ("for sink in self._sinks)", "for sink in self._sinks[:2])"),
                    ("zip(self._sinks, cursors", "zip(self._sinks[:2], cursors"),
                ),
            ),
        ),
        LAGGING,
    ),
    Mutation(
        "trim drops what is young",
        (
            Change("trim", (("tonumber(string.match(last, '^%d+')) > now_ms - hot_ms", "false"),)),
            Change(
                "gateway.metering.trimmer:Trimmer.step",
                (("before(now_ms - self._hot_ms)", "before(now_ms + self._hot_ms)"),),
            ),
        ),
    ),
)
