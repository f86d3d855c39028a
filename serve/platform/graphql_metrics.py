"""What GraphQL's root fields came to: beside the route's own figures, which know no fields."""

from prometheus_client import CollectorRegistry, Counter

OK = "ok"


class GraphqlMetrics:
    """By root field of the schema and by `ok` or the code of the first error below it."""

    def __init__(self, gateway: str, registry: CollectorRegistry) -> None:
        self._gateway = gateway
        self._fields = Counter(
            "atrium_graphql_fields", "Root fields answered.", ("gateway", "field", "code"), registry=registry
        )

    def answered(self, field: str, code: str) -> None:
        self._fields.labels(self._gateway, field, code).inc()
