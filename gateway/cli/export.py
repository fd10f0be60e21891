"""`farebox export`: a span of usage into a file, or onto the screen."""

import sys
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

from gateway.api.times import moment
from gateway.cli.beside import Progress, has_archive, walked
from gateway.cli.fatal import Fatal
from gateway.config import Config
from gateway.parts import Parts
from gateway.reports.export import Format, export
from gateway.store.archive import LogFilter


def export_usage(
    config: Config, *, form: str, start: str | None, end: str | None, file: Path | None
) -> None:
    """Write the file; progress is told by the time of its lines.

    Raises:
        Fatal, StoreError: nothing could be read, or the file cannot be written.
    """
    if not has_archive(config):
        raise Fatal(f"there is no archive in data_dir {config.data_dir}: nothing to export")
    zone = ZoneInfo(config.reports.timezone)
    wanted = LogFilter(start_ms=_time("--from", start, zone), end_ms=_time("--to", end, zone))

    async def write(parts: Parts, progress: Progress) -> None:
        end_ms = wanted.end_ms or parts.clock.now_ms()
        begin_ms = wanted.start_ms
        out = _opened(file)
        try:
            parts_of_file = export(parts.archive, wanted, Format(form), parts.directory.identifiers)
            async for text, at_ms in parts_of_file:
                out.write(text)
                begin_ms = begin_ms or at_ms or None
                if begin_ms and at_ms:
                    progress(min(1.0, (at_ms - begin_ms) / max(1, end_ms - begin_ms)))
        finally:
            if out is not sys.stdout:
                out.close()
        progress(1.0)

    try:
        walked(config, "Exporting", write, archive=True)
    except BrokenPipeError:  # whoever read it has had enough
        sys.stderr.close()


def _opened(file: Path | None) -> TextIO:
    if file is None:
        return sys.stdout
    try:
        return file.open("x", encoding="utf-8", newline="")
    except FileExistsError as exc:
        raise Fatal(f"{file} exists already: name another file") from exc
    except OSError as exc:
        raise Fatal(f"cannot write {file}: {exc.strerror}") from exc


def _time(option: str, text: str | None, zone: ZoneInfo) -> int | None:
    try:
        return moment(text, zone) if text else None
    except ValueError as exc:
        raise Fatal(f"{option} {exc}") from exc
