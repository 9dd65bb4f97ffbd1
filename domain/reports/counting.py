"""What a report counts as: words of the event model where it is one, its own word where it counts as nothing."""

from __future__ import annotations

from domain.events import Kind
from domain.replies import Class
from domain.reports.model import Action, Feedback, Outcome


def outcome_kind(outcome: Outcome) -> str:
    """``bounced``, ``blocked``, ``failed``, ``deferred``, or ``delivered``, ``relayed``, ``expanded``.

    A block of the IP is one whether mail was refused for good or for now; a dead address only when it failed.
    """
    if outcome.action not in (Action.FAILED, Action.DELAYED):
        return outcome.action.value
    if outcome.reply.class_ is Class.IP_BLOCKED:
        return Kind.BLOCKED.value
    if outcome.action is Action.DELAYED:
        return Kind.DEFERRED.value
    return Kind.BOUNCED.value if outcome.reply.hard else Kind.FAILED.value


def feedback_kind(feedback: Feedback) -> str:
    """``complained``, ``unsubscribed`` for a wish to get no more, else ``feedback``: not-spam and the like are none."""
    if feedback.complaint:
        return Kind.COMPLAINED.value
    return Kind.UNSUBSCRIBED.value if feedback.type.startswith("opt-out") else "feedback"
