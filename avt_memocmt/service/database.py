"""Opens the database of jobs: SQLite by default, or another that SQLAlchemy reaches."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from avt_memocmt.errors import AvtError
from avt_memocmt.service.models import Base


def open_database(url: str) -> Engine:
    """Connect, and make the tables where they are missing.

    Raises:
        AvtError: the URL is none, its driver is not installed, or the database cannot be reached.
    """
    try:
        engine = create_engine(url, pool_pre_ping=True)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_immediate)
        Base.metadata.create_all(engine)
    except ArgumentError as error:
        raise AvtError(
            f"{url!r} is no address of a database; give such as postgresql+psycopg://host/name."
        ) from error
    except ModuleNotFoundError as error:
        raise AvtError(
            f"the database needs the package {error.name}; for PostgreSQL install it with: "
            "pip install 'psycopg[binary]'"
        ) from error
    except SQLAlchemyError as error:
        shown = engine.url.render_as_string(hide_password=True)
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        raise AvtError(f"the database {shown} cannot be opened ({reason}).") from error
    return engine


def forget_deleted(engine: Engine) -> None:
    """Write what was deleted out of the files of SQLite too, whose log keeps it for a while."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _prepare_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # transactions begin in `_begin_immediate`
    for pragma in (
        "journal_mode=WAL",  # readers do not wait for a writer; whole after kill -9
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "busy_timeout=30000",
        "secure_delete=ON",  # what is deleted is overwritten
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Any) -> None:
    # A transaction that begins by reading could not be upgraded while another one writes.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
