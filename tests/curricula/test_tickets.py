import json

from hypothesis import given
from hypothesis import strategies as st

from code_envs.curricula.tickets import Group, Tickets


def group_of(ticket, index, step=0, due=2):
    return Group(ticket=ticket, index=index, step=step, key=f"k{index}", bin="easy", due=due)


def ask(tickets, ticket, index):
    found = tickets.find(ticket) or tickets.add(group_of(ticket, index, due=tickets.group_size))
    tickets.join(found)
    return found


@given(asks=st.lists(st.sampled_from("abc"), max_size=40), size=st.integers(1, 4))
def test_asks_of_one_ticket_fill_one_group_after_the_other(asks, size):
    tickets, groups = Tickets(size), {}
    for index, ticket in enumerate(asks):
        groups.setdefault(ticket, []).append(ask(tickets, ticket, index).index)
    for indexes in groups.values():
        runs = [indexes[at : at + size] for at in range(0, len(indexes), size)]
        assert all(len(set(run)) == 1 for run in runs)
        assert len({run[0] for run in runs}) == len(runs)


def test_a_question_asked_again_is_no_further_member():
    tickets = Tickets(2)
    group = tickets.add(group_of("a", 0))
    for call in ("one", "one", "two"):
        assert tickets.find("a", call) is group
        tickets.join(group, call)
    assert group.asked == 2
    assert tickets.find("a", "two") is group
    assert tickets.find("a", "three") is None
    tickets.close(group)
    assert tickets.find("a", "two") is group  # its answer was lost
    assert tickets.find("a", "three") is None


def test_a_grade_finds_its_group():
    tickets = Tickets(2)
    first, second = tickets.add(group_of("a", 0)), tickets.add(group_of("a", 1))
    assert tickets.reported("a") is first  # the oldest that is open
    assert tickets.reported("a", 1) is second
    assert tickets.reported("b", 1) is None
    assert tickets.reported("a", 7) is None
    tickets.close(first)
    assert tickets.reported("a") is second
    assert tickets.reported("a", 0) is first
    tickets.close(second)
    assert tickets.reported("a") is second  # late
    assert tickets.reported("c") is None


def test_what_is_remembered_of_closed_groups_is_bounded():
    tickets = Tickets(1)
    for index in range(5_000):
        tickets.close(tickets.add(group_of(f"t{index}", index)))
    state = tickets.state_dict()
    assert len(state["closed"]) == 4096
    assert not state["open"]
    assert tickets.reported("t0") is None
    assert tickets.reported("t4999").index == 4999
    assert len(tickets._last) == 4096


def test_tickets_expire_by_step_and_survive_a_round_trip():
    tickets = Tickets(2)
    for index in range(4):
        tickets.add(group_of("a" if index < 2 else "b", index, step=index))
    tickets.close(tickets.open[2])
    assert [group.index for group in tickets.expired(2)] == [0, 1]
    twin = Tickets(2)
    twin.load_state_dict(json.loads(json.dumps(tickets.state_dict())))
    assert twin.state_dict() == tickets.state_dict()
    assert twin.reported("a").index == 0
    assert twin.find("b").index == 3
