"""The one error that users of the command line are meant to read."""


class UsageError(ValueError):
    """Something that the caller asked for cannot be done.

    The message is one line: what is wrong, then what would be right. The command line prints it on standard error
    and ends with exit code 2.
    """
