"""The rules by which printed outputs are compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_envs.errors import UnknownName
from code_envs.outputs import OutputRule, same_output

ACCEPTED_FROM = [  # expected, got, the strictest rule that accepts it
    ("1 2\n3\n", "1 2\n3\n", "exact"),
    ("1\n2\n", "1\r\n2\r\n", "exact"),
    ("", "", "exact"),
    ("1 2\n3\n", "1 2  \n3", "lines"),
    ("1\n", "1\n\n\n", "lines"),
    ("", " \n", "lines"),
    ("  x\ny", "  x\ny \t\n", "lines"),
    ("1 2 3", "1\n2\n3\n", "tokens"),
    ("1  2", "1 2", "tokens"),
    ("  x", "x", "tokens"),
    ("0.3333333", "0.33333331", "floats"),
    ("1.0", "1", "floats"),
    ("2", "2.0000001", "floats"),
    ("1e9", "1000000000.5", "floats"),
    ("-0.0", "0", "floats"),
    ("Case 1: 2.50", "Case 1: 2.5", "floats"),
]
REFUSED = [
    ("1", "2"),
    ("1 2", "1"),
    ("1", "1 1"),
    ("abc", "ABC"),
    ("10000000000", "10000000001"),  # whole numbers have no tolerance
    ("1.0", "1.1"),
    ("nan", "NaN"),
    ("inf", "1e9999"),
    ("1.0", "1_0.0e-1"),
    ("1.0", "0x1.0"),
    ("1.5", "١.٥"),
    ("0.5", "." + "5" * 500),
    ("", "x"),
]
RULES = [rule.value for rule in OutputRule]


@pytest.mark.parametrize(("expected", "got", "strictest"), ACCEPTED_FROM)
@pytest.mark.parametrize("rule", RULES)
def test_each_rule_accepts_what_it_names(expected, got, strictest, rule):
    assert same_output(expected, got, rule) == (RULES.index(rule) >= RULES.index(strictest))


@pytest.mark.parametrize(("expected", "got"), REFUSED)
@pytest.mark.parametrize("rule", RULES)
def test_what_differs_is_refused_by_every_rule(expected, got, rule):
    assert not same_output(expected, got, rule)


def test_the_tolerance_is_the_callers():
    assert not same_output("1.0", "1.01", "floats")
    assert same_output("1.0", "1.01", "floats", absolute=0.1)
    assert same_output("1000.0", "1001.0", "floats", rel=0.01)


def test_an_unknown_rule_names_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'tokens'"):
        same_output("", "", "token")


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_looser_rule_accepts_what_a_stricter_one_does(expected, got):
    verdicts = [same_output(expected, got, rule) for rule in RULES]
    assert verdicts == sorted(verdicts)
    assert all(same_output(got, got, rule) for rule in RULES)
