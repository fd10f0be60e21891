"""What is broken when an invariant does not hold."""


class Wrong(AssertionError):
    """The ledger broke a promise."""


def expect(holds: object, otherwise: str) -> None:
    if not holds:
        raise Wrong(otherwise)
