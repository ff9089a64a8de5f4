"""Requests that are sent twice make one thing: a key chosen by the client stands for what the first one made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from limpid.durable.files import digest_of
from limpid.serve.database import Transaction
from limpid.serve.refusals import Refusal


def once(
    work: Transaction, purpose: str, key: str | None, body: Any, make: Callable[[], dict[str, Any]]
) -> tuple[str, dict[str, Any] | None]:
    """The id of what a request makes, and the thing itself when it was made now.

    Raises Refusal when the key was used with another body.
    """
    if key is None:
        made = make()
        return made["id"], made
    digest = digest_of(body)
    row = work.row("SELECT digest, ref FROM idempotency WHERE purpose = ? AND key = ?", purpose, key)
    if row is not None:
        if row["digest"] != digest:
            message = "this Idempotency-Key was used with another body; take a new one"
            raise Refusal(422, "idempotency", message, field="Idempotency-Key")
        return str(row["ref"]), None
    made = make()
    work.do("INSERT INTO idempotency VALUES (?, ?, ?, ?)", purpose, key, digest, made["id"])
    return made["id"], made


def made_before(work: Transaction, purpose: str, key: str | None, body: Any) -> str | None:
    """The id of what the key stands for already; raises Refusal as `once` does."""
    if key is None:
        return None
    row = work.row("SELECT 1 FROM idempotency WHERE purpose = ? AND key = ?", purpose, key)
    return None if row is None else once(work, purpose, key, body, dict)[0]
