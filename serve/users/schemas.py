"""Bodies of profiles."""

from pydantic import ConfigDict

from serve.auth.schemas import Email, Locale, Password, PersonName, TimeZone
from serve.platform.schemas import Body


class PutProfile(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Ada Lovelace", "locale": "en", "time_zone": "Europe/London"}]}
    )

    name: PersonName
    locale: Locale
    time_zone: TimeZone


class ChangeEmail(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "ada@example.org", "password": "umbrella walnut 7 trombone"}]}
    )

    email: Email
    password: Password
