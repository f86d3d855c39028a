from loadtests.ground import make_catalog
from loadtests.scripts import adding, adding_by_socket

_CATALOG = make_catalog(4)


def test_a_script_adds_the_products_in_turn_and_then_clears_the_cart():
    script = adding("/api/v1", "c1", _CATALOG)
    assert len(script) == 64
    assert [call.body["product_id"] for call in script[:5]] == [_CATALOG.items[n % 4].id for n in range(5)]
    assert script[-1].path == "/api/v1/carts/c1/clear"
    assert {call.path for call in script[:-1]} == {"/api/v1/carts/c1/items"}


def test_without_clearing_a_cart_only_grows():
    assert all(call.body for call in adding("", "c1", _CATALOG, clearing=False))


def test_over_sockets_the_work_is_the_same():
    by_socket = adding_by_socket("c1", _CATALOG)
    over_http = adding("", "c1", _CATALOG)
    assert [op.args for op in by_socket] == [call.body or {} for call in over_http]


def test_the_catalog_is_the_same_every_time():
    assert make_catalog(3) == make_catalog(3)
