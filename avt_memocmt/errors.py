"""The one exception that carries a sentence for the user."""


class AvtError(Exception):
    """A mistake or a broken input that the user can act on.

    The message is one or two sentences: what is wrong, and what to do. The command line prints it
    without a traceback and exits with status 1.
    """
