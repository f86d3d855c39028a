from realtime.channels import live, room_board

HERE, ROOM = "0192f0c1-7d6e-7c3a-9a55-0c7a4f1b2d3e", "room/0192f0c1-7d6e-7c3a-9a55-0c7a4f1b2d3f"


def test_a_board_admits_rooms_and_the_group_of_its_location_only() -> None:
    board = room_board(HERE)
    assert board.subscribes == (f"location/{HERE}/rooms",)
    assert board.admits_channel(f"location/{HERE}/rooms")
    assert board.admits_entity(ROOM)
    for name in ("location/elsewhere/rooms", f"location/{HERE}/sessions", "merchant/m1/orders", "order/o1", "nonsense"):
        assert not board.admits_channel(name)


def test_the_live_endpoint_admits_every_group() -> None:
    scope = live(frozenset({"room"}))
    assert scope.admits_channel("location/elsewhere/rooms")
    assert scope.admits_channel("merchant/m1/orders")
    assert not scope.admits_channel("order/o1")
