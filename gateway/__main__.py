"""``python -m gateway`` and the `farebox` command."""

from gateway.cli import main

if __name__ == "__main__":
    main()
