"""What can go wrong with who makes the pictures: a part of the one tree, each a sentence as all there are."""

from __future__ import annotations

from opstore.errors.root import OpstoreError


class ProviderError(OpstoreError):
    """The provider could not make it: {reason}"""

    status = 502
    kind = "crash"


class ProviderRefused(ProviderError):
    """{reason}"""

    status = 422


class ProviderUnavailable(ProviderError):
    """The provider cannot be reached: {reason}"""

    status = 503
    kind = "network"


class RateLimited(ProviderError):
    """The provider asks to wait {seconds} s before the next request."""

    status = 429
    kind = "rate limit"


class CreateUncertain(ProviderError):
    """Whether the provider accepted the request is not known: {reason}. It may have been billed."""

    kind = "uncertain"


class Canceled(ProviderError):
    """The operation was canceled."""

    status = 409
    kind = "canceled"
