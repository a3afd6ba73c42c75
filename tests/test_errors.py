"""One tree of exceptions, drawn in its docstring."""

import copy
import inspect
import pickle
import re

import pytest

from code_envs import errors


def test_the_drawing_is_the_tree():
    drawn = re.findall(r"^[│├└─ ]*(\w+) {2,}\S", errors.__doc__, re.MULTILINE)
    assert sorted(drawn) == errors.__all__
    depth = {name: line.index(name) for line in errors.__doc__.splitlines() for name in drawn if f"{name} " in line}
    stack: list[str] = []
    for name in drawn:
        stack = [above for above in stack if depth[above] < depth[name]]
        parent = stack[-1] if stack else "Exception"
        assert parent in [base.__name__ for base in getattr(errors, name).__bases__], name
        stack.append(name)


def test_every_exception_is_exported_and_in_the_tree():
    classes = {name for name, thing in vars(errors).items() if inspect.isclass(thing) and issubclass(thing, Exception)}
    assert classes == set(errors.__all__)
    assert all(issubclass(getattr(errors, name), errors.CodeEnvsError) for name in classes)


def test_an_unknown_name_tells_the_nearest():
    error = errors.UnknownName("mode", "inducton", ["induction", "deduction"])
    assert str(error) == "Unknown mode 'inducton'. Did you mean 'induction'?"
    assert "Known: deduction, induction." in str(errors.UnknownName("mode", "zzz", ["induction", "deduction"]))
    with pytest.raises(errors.ConfigError):
        raise error


def test_a_missing_extra_says_what_to_install():
    error = errors.MissingExtra("datasets", "hf")
    assert str(error) == "datasets is not installed. Run: pip install 'code-envs[hf]'"
    assert isinstance(error, ImportError)


@pytest.mark.parametrize("name", errors.__all__)
def test_errors_come_back_from_other_processes(name):
    arguments = {"UnknownName": ("mode", "x", ["y"]), "MissingExtra": ("datasets", "hf")}.get(name, ("what was wrong",))
    error = getattr(errors, name)(*arguments)
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))
