"""How a command ends when it cannot go on."""


class Fatal(Exception):
    """The message says why the command ends and what to do; the exit status is 1."""


class Misused(Fatal):
    """An option has a value that is none; the exit status is 2."""
