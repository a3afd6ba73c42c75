"""Guess what a function takes, from the names of its parameters and what it does with them.

A guess is only a guess: it is kept if the sandbox shows that the function works with it.
"""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Callable, Iterator, Mapping
from itertools import product

import numpy as np

from code_envs.errors import ProblemError
from code_envs.programs.inputs import arguments_for
from code_envs.programs.source import function_of, literals_of, parse_program
from code_envs.teacher.harvest_evidence import Arguments, defaults_of
from code_envs.teacher.harvest_scan import Candidate

__all__ = ["guesses"]

_COMBINATIONS = 20
_PER_PARAMETER = 4
_UNLIKELY = 4.5  # how far below the best weight a combination is not worth trying
_WORD_LIST = "alpha beta gamma delta spam eggs north south red green blue data user value test level"
_WORDS = _WORD_LIST.split()
_Rng = np.random.Generator


def guesses(candidate: Candidate, rng: _Rng, count: int) -> list[list[Arguments]]:
    """Draw arguments for each of the likeliest combinations of types.

    Args:
        candidate: The function.
        rng: The only source of randomness.
        count: How many argument tuples to draw for each combination.

    Returns:
        Groups of argument tuples, the likeliest combination first.
    """
    annotated = _annotated(candidate, rng, count)
    tree = parse_program(candidate.program)
    entry = function_of(tree, candidate.name)
    vocabulary = _vocabulary(candidate.program)
    parameters = defaults_of(tree, candidate.name)
    names = [*parameters]
    ranked = _ranked([_likely_kinds(name, default, entry) for name, default in parameters.items()])
    groups = [annotated] if annotated else []
    for combination in ranked:
        kinds = [kind for kind, _ in combination]
        groups.append(
            [
                tuple(_draw(kind, name, vocabulary, rng) for kind, name in zip(kinds, names, strict=True))
                for _ in range(count)
            ]
        )
    return groups


def _ranked(options: list[list[tuple[str, float]]]) -> list[tuple[tuple[str, float], ...]]:
    """The likeliest combinations, without those that are much less likely than the best."""
    weighed = [(sum(weight for _, weight in kinds), kinds) for kinds in product(*options)]
    weighed.sort(key=lambda item: -item[0])
    return [kinds for weight, kinds in weighed if weight >= weighed[0][0] - _UNLIKELY][:_COMBINATIONS]


def _annotated(candidate: Candidate, rng: _Rng, count: int) -> list[Arguments]:
    try:
        return arguments_for(candidate.signature, rng, count)
    except ProblemError:  # an annotation that no literal has
        return []


# --- kinds ------------------------------------------------------------------------------------

_NAMES: Mapping[str, str] = {
    "int": """a amount arg base bits c carry code count day delta depth digits e end exp factor first freq height hour i
        idx index j k last left length level limit limits lo hi m max maxlen maxlinelen maxsize min minute mode month n
        num number offset p port pos position precision prec q right second seed shift size start step stop t total
        value width year x y z""",
    "str": """address attr body char charset ch data date day delimiter doc domain encoding ext fmt format header host
        key label lang line locale message mode month msg name names p param pat path pattern prefix s sep separator
        source spec src st str string sub substring suffix tag text title token type tz url user value version
        want got word""",
    "list_int": """a args arr array b coll data elements heap items iterable iterator l lst list nums numbers seq
        sequence sequences values vals weights x xs y ys actual expected""",
    "list_str": """args argv components fields filenames files headers items keys lines list m names parts paths
        sequences strings tags tokens words header_values""",
    "bytes": "b bdata blob buf buffer bytes bytearray bytestring chunk data enc_name header_bytes prefix raw",
    "dict": "d dct dict env environ items kwargs map mapping opts options params settings table adict callers",
    "float": "a alpha b beta c fraction g h i l m1 m2 hue mu p q r ratio s scale sigma t threshold v weight x y z",
    "pairs": "items l list pairs params properties edges lists macros",
    "bool": "default flag force header ignore inclusive is_negative negative quote quotetabs recursive reverse strict",
    "list_list": "grid m matrix rows sequences lists",
}
_KINDS: Mapping[str, type] = {
    "int": int,
    "str": str,
    "list_int": list,
    "list_str": list,
    "bytes": bytes,
    "dict": dict,
    "float": float,
    "pairs": list,
    "bool": bool,
    "list_list": list,
    "tuple": tuple,
    "char": str,
    "none": type(None),
}
_PRIOR = {"str": 1.0, "int": 0.9, "list_int": 0.6, "list_str": 0.5, "bytes": 0.2, "float": 0.1}
_SEQUENCES = {"str": 0.5, "list_int": 0.5, "list_str": 0.5, "bytes": 0.5, "dict": 0.2, "pairs": 0.3, "list_list": 0.2}
_NUMBERS = (ast.Sub, ast.FloorDiv, ast.Div, ast.Pow, ast.LShift, ast.RShift, ast.BitAnd)
_FLAGS = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.LShift, ast.RShift)


def _likely_kinds(name: str, default: ast.expr | None, entry: ast.FunctionDef) -> list[tuple[str, float]]:
    """The likeliest kinds of a parameter, each with its weight."""
    weights = {kind: _PRIOR.get(kind, 0.0) + _by_name(name, kind) for kind in _KINDS}
    for kind, weight in _by_use(name, entry):
        weights[kind] = weights.get(kind, 0.0) + weight
    if any(isinstance(node, ast.Constant) and type(node.value) is float for node in ast.walk(entry)):
        weights["float"] += 1.5
    if isinstance(default, ast.Constant):
        kind = {str: "str", bool: "bool", int: "int", float: "float", bytes: "bytes"}.get(type(default.value), "none")
        weights[kind] += 6.0 if kind != "none" else 2.0
    ranked = sorted(weights.items(), key=lambda item: -item[1])
    return ranked[:_PER_PARAMETER]


def _by_name(name: str, kind: str) -> float:
    known = _NAMES.get(kind, "").split()
    bare = name.strip("_").lower()
    if bare in known:
        return 2.0
    return 1.2 if any(part in known and len(part) > 1 for part in bare.split("_")) else 0.0


def _by_use(name: str, entry: ast.FunctionDef) -> Iterator[tuple[str, float]]:
    """What each use of a name says about what it stands for."""
    for node in ast.walk(entry):
        match node:
            case ast.Attribute(value=ast.Name(id=used), attr=attr) if used == name:
                yield from ((kind, 2.5 if hasattr(of, attr) else -6.0) for kind, of in _KINDS.items())
            case ast.Subscript(value=ast.Name(id=used), slice=index) if used == name:
                gain = 2.0 if isinstance(index, ast.Slice) else 1.0
                yield from ((kind, gain + weight) for kind, weight in _SEQUENCES.items())
                text = isinstance(index, ast.Constant) and isinstance(index.value, str)
                yield "dict", 6.0 if text else 0.0
            case (
                ast.For(iter=ast.Name(id=used), target=target)
                | ast.comprehension(iter=ast.Name(id=used), target=target)
            ):
                if used == name:
                    yield from _by_iteration(target)
            case ast.Call(args=[*args]):
                if any(isinstance(arg, ast.Name) and arg.id == name for arg in args):
                    yield from _by_call(node)
            case ast.BinOp(left=left, op=op, right=right):
                if any(isinstance(side, ast.Name) and side.id == name for side in (left, right)):
                    yield from _by_operator(op, left, name)
            case ast.Compare(left=left, comparators=others):
                yield from _by_comparison(name, [left, *others], node.ops)


def _by_iteration(target: ast.expr) -> Iterator[tuple[str, float]]:
    yield "int", -6.0
    yield "float", -6.0
    yield from ((kind, 1.0 + weight) for kind, weight in _SEQUENCES.items())
    if isinstance(target, ast.Tuple):
        yield "pairs", 6.0


_CALLS: Mapping[str, Mapping[str, float]] = {
    "len": {**dict.fromkeys(_SEQUENCES, 2.0), "int": -8.0, "float": -8.0},
    "int": {"str": 2.0, "int": 0.5, "float": 0.5},
    "float": {"str": 1.0, "int": 1.0, "float": 2.0},
    "ord": {"char": 8.0},
    "chr": {"int": 6.0},
    "abs": {"int": 2.0, "float": 2.0},
    "range": {"int": 6.0},
    "divmod": {"int": 5.0},
    "sum": {"list_int": 4.0},
    "sorted": {"list_int": 2.0, "list_str": 2.0},
    "min": {"list_int": 1.5, "int": 1.0},
    "max": {"list_int": 1.5, "int": 1.0},
    "enumerate": {"list_str": 1.5, "list_int": 1.5, "str": 1.0},
    "iter": {"list_int": 2.0},
    "search": {"str": 4.0},
    "match": {"str": 4.0},
    "fullmatch": {"str": 4.0},
    "sub": {"str": 4.0},
    "findall": {"str": 4.0},
    "join": {"list_str": 6.0},
    "fspath": {"str": 4.0},
    "startswith": {"str": 2.0},
    "find": {"str": 2.0},
    "isqrt": {"int": 6.0},
    "b2a_base64": {"bytes": 6.0},
    "unpack": {"bytes": 3.0},
}


def _by_call(node: ast.Call) -> Iterator[tuple[str, float]]:
    called = getattr(node.func, "id", getattr(node.func, "attr", ""))
    yield from _CALLS.get(called, {}).items()
    if called == "isinstance" and len(node.args) == 2:
        for kind, of in _KINDS.items():
            if of.__name__ in {inner.id for inner in ast.walk(node.args[1]) if isinstance(inner, ast.Name)}:
                yield kind, 2.0


def _by_operator(op: ast.operator, left: ast.expr, name: str) -> Iterator[tuple[str, float]]:
    if isinstance(op, ast.Mod) and not (isinstance(left, ast.Name) and left.id == name):
        return  # "..." % x says nothing about x
    if isinstance(op, _NUMBERS):
        yield "int", 3.0
        yield "float", -6.0 if isinstance(op, _FLAGS) else 2.0
    elif isinstance(op, ast.Mod | ast.Mult):
        yield "int", 1.5
    if isinstance(op, ast.Div):
        yield "float", 1.5


def _by_comparison(name: str, sides: list[ast.expr], ops: list[ast.cmpop]) -> Iterator[tuple[str, float]]:
    mine = [isinstance(side, ast.Name) and side.id == name for side in sides]
    if not any(mine):
        return
    if mine[-1] and isinstance(ops[-1], ast.In | ast.NotIn):
        constant = isinstance(sides[0], ast.Constant) and isinstance(sides[0].value, str)
        yield "str", 3.0 if constant else 1.0
        yield "dict", 1.5
        yield "int", -5.0
    for side in sides:
        for inner in ast.walk(side):
            if isinstance(inner, ast.Constant) and not any(
                isinstance(op, ast.In | ast.NotIn) for op in ops[-1:] if mine[-1]
            ):
                kind = {str: "str", int: "int", float: "float", bytes: "bytes", bool: "bool"}.get(
                    type(inner.value), "none"
                )
                yield kind, 1.5


# --- values -----------------------------------------------------------------------------------


def _vocabulary(program: str) -> list[str]:
    """Short texts that the program itself knows: what it looks for is what its input should hold."""
    texts = [value for value in literals_of(program) if isinstance(value, str)]
    texts += [value.decode("latin-1") for value in literals_of(program) if isinstance(value, bytes)]
    pieces = [piece for text in texts for piece in re.findall(r"[A-Za-z]+|[0-9]+|[^A-Za-z0-9\s]{1,2}|\s", text)]
    short = [text for text in texts if 0 < len(text) <= 6]
    return list(dict.fromkeys([*short, *pieces]))[:40]


def _draw(kind: str, name: str, vocabulary: list[str], rng: _Rng) -> object:
    return _DRAWS[kind](name.strip("_").lower(), vocabulary, rng)


_RANGES: Mapping[str, tuple[int, int]] = {
    "year": (1, 2400),
    "month": (1, 12),
    "day": (1, 28),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
    "width": (1, 40),
    "base": (2, 16),
    "bits": (1, 64),
    "mode": (0, 0o177777),
}
_UNIT = frozenset(["r", "g", "b", "h", "l", "s", "v", "i", "q", "p", "m1", "m2", "hue", "alpha", "ratio"])


def _int(name: str, vocabulary: list[str], rng: _Rng) -> int:  # noqa: ARG001
    if name in _RANGES:
        low, high = _RANGES[name]
        return int(rng.integers(low, high + 1))
    scale = (10, 10, 100, 2000)[rng.integers(4)]
    return int(rng.integers(-3 if rng.random() < 0.2 else 0, scale + 1))


def _float(name: str, vocabulary: list[str], rng: _Rng) -> float:  # noqa: ARG001
    top = 1.0 if name in _UNIT else 20.0
    return round(float(rng.random() * top), 2)


def _char(name: str, vocabulary: list[str], rng: _Rng) -> str:  # noqa: ARG001
    single = [text for text in vocabulary if len(text) == 1]
    pool: list[str] = [*string.ascii_letters[:12], *string.digits[:4], *" .,-~", *single * 4]
    return pool[int(rng.integers(len(pool)))]


def _str(name: str, vocabulary: list[str], rng: _Rng) -> str:
    if name in ("c", "ch", "char"):
        return _char(name, vocabulary, rng)
    pieces = [_word(vocabulary, rng) for _ in range(int(rng.integers(1, 8)))]
    glues = ("", "", " ", _char("", [text for text in vocabulary if not text.isalnum()], rng))
    glue: str = glues[int(rng.integers(4))]
    return glue.join(pieces)


def _word(vocabulary: list[str], rng: _Rng) -> str:
    roll = rng.random()
    if vocabulary and roll < 0.45:
        return vocabulary[int(rng.integers(len(vocabulary)))]
    if roll < 0.85:
        return _WORDS[int(rng.integers(len(_WORDS)))]
    return str(rng.integers(0, 100))


def _bytes(name: str, vocabulary: list[str], rng: _Rng) -> bytes:
    return _str(name, vocabulary, rng).encode("latin-1", "replace")


def _listed(
    item: Callable[[str, list[str], _Rng], object], low: int = 1
) -> Callable[[str, list[str], _Rng], list[object]]:
    return lambda name, vocabulary, rng: [  # noqa: ARG005
        item("", vocabulary, rng) for _ in range(int(rng.integers(low, 8)))
    ]


def _small(name: str, vocabulary: list[str], rng: _Rng) -> int:  # noqa: ARG001
    return int(rng.integers(-2, 15))


def _pair(name: str, vocabulary: list[str], rng: _Rng) -> tuple[object, ...]:  # noqa: ARG001
    return (_word(vocabulary, rng), _word(vocabulary, rng))


def _dict(name: str, vocabulary: list[str], rng: _Rng) -> dict[str, object]:  # noqa: ARG001
    return {_word(vocabulary, rng): _word(vocabulary, rng) for _ in range(int(rng.integers(1, 5)))}


_DRAWS: Mapping[str, Callable[[str, list[str], _Rng], object]] = {
    "int": _int,
    "str": _str,
    "char": _char,
    "float": _float,
    "bytes": _bytes,
    "bool": lambda name, vocabulary, rng: bool(rng.integers(2)),  # noqa: ARG005
    "none": lambda name, vocabulary, rng: None,  # noqa: ARG005
    "list_int": _listed(_small),
    "list_str": _listed(lambda name, vocabulary, rng: _word(vocabulary, rng)),  # noqa: ARG005
    "list_list": _listed(_listed(_small), 1),
    "pairs": _listed(_pair),
    "dict": _dict,
    "tuple": lambda name, vocabulary, rng: tuple(_listed(_small)(name, vocabulary, rng)),
}
