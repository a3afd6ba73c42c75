"""What a harvested function may use: builtins, modules and attributes that are pure and deterministic."""

from __future__ import annotations

import builtins
import collections
import decimal
import fractions
import re
import string
import struct

__all__ = ["BUILTINS", "LITERAL_ATTRIBUTES", "MODULES", "MUTATORS", "OBJECT_ATTRIBUTES", "allows"]

_REFUSED_BUILTINS = """
__build_class__ __debug__ __doc__ __import__ __loader__ __package__ __spec__ aiter anext breakpoint classmethod
compile copyright credits delattr dir eval exec exit globals hash help id input license locals memoryview open
print property quit setattr staticmethod super vars
"""
BUILTINS = frozenset(dir(builtins)) - {*_REFUSED_BUILTINS.split()}
"""The builtins that depend on their arguments alone and leave nothing behind."""

_DATES = "date datetime time timedelta timezone MINYEAR MAXYEAR UTC"
MODULES: dict[str, frozenset[str] | None] = {
    name: None if names == "*" else frozenset(names.split())
    for name, names in {
        "base64": "b64encode b64decode b32encode b32decode b16encode b16decode b85encode b85decode",
        "binascii": "*",
        "bisect": "*",
        "calendar": "isleap leapdays monthrange weekday",
        "cmath": "*",
        "collections": "*",
        "collections.abc": "*",
        "colorsys": "*",
        "copy": "copy deepcopy",
        "datetime": _DATES,
        "decimal": "Decimal ROUND_HALF_EVEN ROUND_HALF_UP ROUND_DOWN ROUND_UP ROUND_FLOOR ROUND_CEILING",
        "fractions": "Fraction",
        "functools": "cache cmp_to_key lru_cache partial reduce",
        "hashlib": "md5 sha1 sha256 sha512",
        "heapq": "*",
        "html": "*",
        "itertools": "*",
        "json": "dumps loads",
        "keyword": "iskeyword issoftkeyword kwlist softkwlist",
        "math": "*",
        "numbers": "*",
        "operator": "*",
        "os": "fspath PathLike",
        "re": "*",
        "shlex": "join quote split",
        "statistics": "*",
        "string": "*",
        "struct": "*",
        "sys": "byteorder float_info maxsize maxunicode",
        "textwrap": "*",
        "typing": "*",
        "unicodedata": "*",
        "urllib.parse": "*",
        "zlib": "adler32 compress crc32 decompress",
    }.items()
}
"""The modules that may be imported, with the names that may be used of each; all names where None."""

_MUTATORS = """
add append appendleft clear difference_update discard extend extendleft insert intersection_update pop popitem
popleft remove reverse setdefault sort symmetric_difference_update update
"""
MUTATORS = frozenset(_MUTATORS.split())
"""The methods that change the object that they are called on."""


def _attributes(*kinds: object) -> frozenset[str]:
    return frozenset(name for kind in kinds for name in dir(kind) if not name.startswith("_"))


LITERAL_ATTRIBUTES = _attributes(int, float, str, bytes, list, tuple, dict, set, frozenset)
"""The attributes that a literal argument can have."""
_MATCH, _PATTERN = type(re.match("", "")), re.Pattern
OBJECT_ATTRIBUTES = (
    LITERAL_ATTRIBUTES
    | _attributes(bytearray, complex, _MATCH, _PATTERN, collections.Counter, collections.OrderedDict, collections.deque)
    | _attributes(fractions.Fraction, decimal.Decimal, string.Formatter, struct.Struct, range, slice)
)
"""The attributes that a value made along the way may have."""


def allows(module: str, name: str) -> bool:
    """Whether a name of a module may be used."""
    names = MODULES.get(module, frozenset())
    return not name.startswith("_") and (names is None or name in names)
