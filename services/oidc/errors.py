"""What goes wrong with a login by another provider."""

from domain.errors import Unauthenticated


class RefusedLoginError(Unauthenticated):
    """What the provider or the browser brought does not hold. `reason` is for the logs: a static text."""

    code = "oidc_refused"

    def __init__(self, reason: str) -> None:
        super().__init__("This login does not hold: begin again.")
        self.reason = reason


def flow_unknown() -> Unauthenticated:
    """One answer for a browser that began no login here, one that is too old, and one that came back before."""
    return Unauthenticated("This browser has no login under way: begin again.", code="oidc_flow_unknown")
