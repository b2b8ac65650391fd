"""How pages, figures and tables name the modalities, and write times and shares."""

MODALITY_NAMES = {"audio": "audio", "visual": "face", "text": "words"}
"""How figures and tables call the modalities."""


def clock(seconds: float, decimals: int = 1) -> str:
    """A time as people read it: "3.2", "1:03.2" (minutes), "1:00:03.2" (hours)."""
    rounded = round(seconds, decimals)
    if rounded < 60:
        return f"{rounded:.{decimals}f}"
    width = 2 + (decimals + 1 if decimals else 0)
    minutes, rest = divmod(rounded, 60)
    hours, minutes = divmod(int(minutes), 60)
    tail = f"{rest:0{width}.{decimals}f}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def percent(share: float) -> str:
    """A share between 0 and 1 as "71%"."""
    return f"{share:.0%}"
