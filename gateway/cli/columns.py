"""Lines in columns, for a terminal."""

from collections.abc import Collection, Iterator, Sequence


def columns(
    rows: Sequence[Sequence[str]], *, right: Collection[int] = (), indent: str = "  "
) -> Iterator[str]:
    """Rows of equal length, two blanks between columns.

    Args:
        right: Indexes of the columns of numbers.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield (indent + "  ".join(cells)).rstrip()
