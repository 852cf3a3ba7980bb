"""The sandbox provider's refusals: an HTTP status and a stable code each."""


class SandboxError(Exception):
    status = 500
    code = "internal"


class Unauthorised(SandboxError):
    status, code = 401, "unauthorised"


class PaymentNotFound(SandboxError):
    status, code = 404, "payment_not_found"


class ReferenceReused(SandboxError):
    """The reference is known, with another amount, currency or payment."""

    status, code = 422, "reference_reused"


class ReturnUrlInvalid(SandboxError):
    status, code = 422, "return_url_invalid"


class NotPossible(SandboxError):
    """The payment's state does not allow it: to capture what is not authorized, to cancel what is paid."""

    status, code = 409, "not_possible"


class AmountTooHigh(SandboxError):
    """More than was authorized (capture) or than is left of what was captured (refund)."""

    status, code = 409, "amount_too_high"


class FaultInjected(SandboxError):
    """Asked for through /control/faults."""

    status, code = 500, "fault_injected"
