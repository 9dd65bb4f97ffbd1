"""What the Temporal UI can be searched by. Not encrypted: no secret goes here."""

from __future__ import annotations

from temporalio.common import SearchAttributeKey, SearchAttributePair, SearchAttributeUpdate, TypedSearchAttributes

IP_ADDRESS = SearchAttributeKey.for_keyword("IpAddress")
STAGE = SearchAttributeKey.for_keyword("Stage")
POOL = SearchAttributeKey.for_keyword("Pool")
SENDER = SearchAttributeKey.for_keyword("Sender")

ALL = (IP_ADDRESS, STAGE, POOL, SENDER)


def of(
    *, address: str | None = None, stage: str | None = None, pool: str | None = None, sender: str | None = None
) -> TypedSearchAttributes:
    """Attributes to set at the start of a workflow, where they cost nothing."""
    given = ((IP_ADDRESS, address), (STAGE, stage), (POOL, pool), (SENDER, sender))
    return TypedSearchAttributes([SearchAttributePair(key, value) for key, value in given if value])


def changes(now: TypedSearchAttributes, wanted: TypedSearchAttributes) -> list[SearchAttributeUpdate[str]]:
    """What to upsert so that a workflow is found by ``wanted``; nothing, and no action spent, when it is already."""
    return [pair.key.value_set(pair.value) for pair in wanted if now.get(pair.key) != pair.value]
