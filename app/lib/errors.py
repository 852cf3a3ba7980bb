"""One error tree for everything that a caller may be told.

A verb raises an `AppError`; the HTTP layer turns it into an RFC 9457 problem document. `status` and `code`
are part of the contract with clients and stay stable; `detail` is for people; further members carry what
the client needs to act. An expected outcome is never a 5xx, and a 5xx never shows internals.
"""

from __future__ import annotations

from typing import Any, ClassVar

# What RFC 9457 says of every problem.
OWN_MEMBERS = frozenset({"type", "title", "status", "detail", "code"})


class AppError(Exception):
    """Something that a caller may be told. Members are added to the problem document as they are."""

    status: ClassVar[int] = 500
    code: str = "internal_error"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str = "", *, code: str | None = None, **members: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        assert OWN_MEMBERS.isdisjoint(members), "a member beside the problem's own"
        self.members = members
        if code is not None:
            self.code = code

    def problem(self) -> dict[str, Any]:
        """The body of the problem document."""
        return {
            "type": f"https://rushcart.dev/problems/{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.members,
        }


class InvalidRequest(AppError):
    """Not JSON, an unknown field, a wrong type, out of bounds, a required key missing."""

    status = 400
    code = "invalid_request"
    title = "The request is not valid"


class Unauthorized(AppError):
    status = 401
    code = "unauthorized"
    title = "A valid bearer token is needed"


class Forbidden(AppError):
    status = 403
    code = "forbidden"
    title = "This role may not do that"


class NotFound(AppError):
    """Does not exist, or belongs to somebody else."""

    status = 404
    code = "not_found"
    title = "Not found"


class Conflict(AppError):
    """The world has moved: well-formed and allowed, but not as things stand now."""

    status = 409
    code = "conflict"
    title = "Not possible as things stand now"


class TooLarge(AppError):
    status = 413
    code = "body_too_large"
    title = "The body is too large"


class Unprocessable(AppError):
    """Well-formed, but cannot be done as it is, whatever the state of the world."""

    status = 422
    code = "unprocessable"
    title = "This cannot be done as it is"


class IdempotencyKeyReused(Unprocessable):
    code = "idempotency_key_reused"
    title = "This Idempotency-Key was used with other content"


class TooManyRequests(AppError):
    status = 429
    code = "rate_limited"
    title = "Too many requests"


class Unavailable(AppError):
    """Not now; `retry_after_s` says when to come back. Nothing has been changed."""

    status = 503
    code = "unavailable"
    title = "Not available right now"

    def __init__(self, detail: str = "", *, retry_after_s: int = 1, **members: Any) -> None:
        super().__init__(detail, retry_after_s=retry_after_s, **members)


class OutcomeUnknown(Unavailable):
    """The commit's answer was lost and could not be found out in time. Safe to retry with the same key."""

    code = "outcome_unknown"
    title = "The outcome is not known yet; retry with the same Idempotency-Key"


# A problem that a route declares: a class, or a class with the code that it is raised with.
Declared = type[AppError] | tuple[type[AppError], str]
