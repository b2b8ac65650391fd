"""The one exception that carries a sentence for the user, and how others become one."""


class AvtError(Exception):
    """A mistake or a broken input that the user can act on.

    The message is one or two sentences: what is wrong, and what to do. The command line prints it
    without a traceback and exits with status 1.
    """


def failure_reason(error: Exception) -> str:
    """What a failure says of an exception: one line, with its kind where it was not foreseen."""
    said = " ".join(str(error).split())
    return said if isinstance(error, AvtError) else f"{type(error).__name__}: {said}"
