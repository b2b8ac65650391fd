"""Runs an iterator ahead in a thread of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_END = object()
Item = TypeVar("Item")


def read_ahead(items: Iterator[Item], most: int) -> Generator[Item, None, None]:
    """Yield the items of an iterator, which runs ahead in a thread of its own.

    Closing the generator waits for that thread. An error of the iterator is raised here, after the
    items before it.

    Args:
        items: the iterator.
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
