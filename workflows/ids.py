"""Workflow ids and their inverse, in one place."""

from __future__ import annotations


def ip_id(address: str) -> str:
    """Id of the life of an IP."""
    return f"ip:{address}"


def purchase_id(order: str) -> str:
    """Id of an order's purchase."""
    return f"purchase:{order}"


def dns_id(address: str) -> str:
    """Id of an IP's DNS set-up."""
    return f"dns:{address}"


def warmup_id(address: str) -> str:
    """Id of an IP's warm-up."""
    return f"warmup:{address}"


def subject(workflow_id: str) -> str:
    """The address or order that a workflow id speaks of; the inverse of the functions above."""
    return workflow_id.partition(":")[2]
