"""Login providers (OpenID Connect) as the settings name them."""

import re
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


class OidcProvider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One provider. `name` stands in paths, and in the redirect URI that the provider is told:
    `<public_url>/api/v1/auth/oidc/<name>/callback`."""

    name: str
    issuer: str
    client_id: str
    client_secret: str = ""
    label: str = ""
    scopes: str = "openid email profile"
    response_mode: Literal["query", "form_post"] = "query"

    def __repr__(self) -> str:
        return f"OidcProvider({self.name!r}, {self.issuer!r})"


def providers_of(text: str) -> tuple[OidcProvider, ...]:
    """From a JSON list of objects with these fields. Raises `ValueError`, without the text in it."""
    try:
        found = msgspec.json.decode(text, type=tuple[OidcProvider, ...])
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    except msgspec.DecodeError:
        raise ValueError("must be a JSON list") from None
    for each in found:
        parts = urlsplit(each.issuer)
        if not _NAME.fullmatch(each.name):
            raise ValueError("a provider's name has small letters, digits and hyphens, 32 at most")
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"the issuer of {each.name} must be an https URL without query and fragment")
        if not each.client_id or "openid" not in each.scopes.split():
            raise ValueError(f"{each.name} needs a client_id, and the scope openid")
    if len({each.name for each in found}) < len(found):
        raise ValueError("two providers have the same name")
    return found
