"""Every bound of the HTTP side: a name, a unit, a default."""

import msgspec


class GatewayLimits(msgspec.Struct, frozen=True, kw_only=True):
    body_bytes_max: int = 1_048_576
    """One request's body; past it 413, announced or not."""
    body_seconds_max: float = 20.0
    """From the end of a request's headers to the end of its body; past it 408, and the connection ends."""
    requests_in_flight_max: int = 2_000
    """HTTP requests being worked on in one replica (sockets are bounded by the hub); past it 503."""
    page_rows_default: int = 50
    page_rows_max: int = 200
    """Entries of one list page."""
    idempotency_key_characters_max: int = 255
    idempotency_keep_seconds: int = 86_400
    """For so long a repeat has the first answer, where no entity's journal keeps it for ever (M9)."""
    idempotency_running_seconds_max: float = 60.0
    """A request that never answered, its gateway being gone, may be run again after this."""
    idempotency_answer_bytes_max: int = 262_144
    """A longer answer is not kept: its request is run again."""
    graphql_body_bytes_max: int = 65_536
    """A GraphQL request: its query and its variables; past it 413."""
    graphql_tokens_max: int = 2_000
    """Words and signs of a query. This and what follows is looked at before anything is read."""
    graphql_fields_max: int = 250
    """Fields in the text of a query, each use of a fragment counted as one."""
    graphql_fragments_max: int = 15
    graphql_aliases_max: int = 30
    graphql_directives_max: int = 30
    graphql_depth_max: int = 12
    """Fields within fields."""
    graphql_introspection_depth_max: int = 20
    """The same of questions about the schema itself."""
    graphql_introspection_values_max: int = 100_000
    """Values of their answers, as estimated: room for what tools ask (`get_introspection_query`), once."""
    graphql_first_max: int = 100
    """Entries that one list of a query may ask for."""
    graphql_list_estimate: int = 5
    """Entries that a list without pages is taken to have when a query is measured."""
    graphql_values_max: int = 10_000
    """Values of the answer, as estimated from fields and the lengths of lists."""
    graphql_reads_max: int = 1_200
    """Things that are looked up for one query, as estimated; what is the same is looked up once."""
    graphql_reads_per_request: int = 25
    """So many of these count as one request more for the rate limits."""
    graphql_reads_at_once_max: int = 32
    """How many things are looked up for one query at the same time."""
    graphql_seconds_max: float = 10.0
    """For all of a query; past it 504."""
    graphql_answer_bytes_max: int = 2_097_152
    """A longer answer is not sent."""
    drain_poll_seconds: float = 1.0
    """How often a replica asks itself whether it is being drained."""


DEFAULTS = GatewayLimits()

assert DEFAULTS.page_rows_default <= DEFAULTS.page_rows_max  # noqa: S101 - the default page is a legal one
