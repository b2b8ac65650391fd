"""Decoding beside what is done with the pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

_END = object()


def read_ahead(items: Iterator[Item], most: int) -> Generator[Item, None, None]:
    """The same items in the same order, taken from the iterator in a thread of its own.

    Closing the generator waits for that thread.

    Args:
        items: what it raises is raised here, in its place.
        most: items that may be ready before they are asked for.
    """
    with ThreadPoolExecutor(1, "decoder") as thread:
        coming = deque(thread.submit(next, items, _END) for _ in range(most))
        while True:
            item = coming.popleft().result()
            if item is _END:
                return
            coming.append(thread.submit(next, items, _END))
            yield item  # type: ignore[misc]
