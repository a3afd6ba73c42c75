"""Every allowed module works inside the sandbox: one golden call each."""

import pytest

from code_envs.executor.preload import ALLOWED

GOLDEN = {
    "abc": ("issubclass(abc.ABC, object)", True),
    "array": ("array.array('i', [1, 2]).tolist()", [1, 2]),
    "ast": ("ast.literal_eval('[1, (2,)]')", [1, (2,)]),
    "atexit": ("callable(atexit.register(print))", True),
    "base64": ("base64.b64encode(b'hi')", b"aGk="),
    "binascii": ("binascii.hexlify(b'hi')", b"6869"),
    "bisect": ("bisect.bisect([1, 3], 2)", 1),
    "builtins": ("builtins.len('abc')", 3),
    "calendar": ("calendar.monthrange(2024, 2)", (3, 29)),
    "cmath": ("cmath.sqrt(-4).imag", 2.0),
    "codecs": (
        "[codecs.encode('ab', 'rot13'), 'é'.encode('utf-16-le'), 'x'.encode('latin-1')]",
        ["no", b"\xe9\0", b"x"],
    ),
    "collections": ("collections.Counter('aab').most_common(1)", [("a", 2)]),
    "collections.abc": ("isinstance([], collections.abc.Sequence)", True),
    "colorsys": ("colorsys.rgb_to_hsv(0, 0, 0)", (0.0, 0.0, 0)),
    "contextlib": ("contextlib.nullcontext(3).__enter__()", 3),
    "copy": ("copy.deepcopy([[1]])", [[1]]),
    "copyreg": ("callable(copyreg.pickle)", True),
    "dataclasses": ("dataclasses.asdict(dataclasses.make_dataclass('P', ['x'])(1))", {"x": 1}),
    "datetime": ("datetime.datetime.strptime('2024-02-29', '%Y-%m-%d').isoformat()", "2024-02-29T00:00:00"),
    "decimal": ("str(decimal.Decimal('0.1') * 3)", "0.3"),
    "difflib": ("difflib.get_close_matches('appel', ['ape', 'apple'])[0]", "apple"),
    "dis": ("len(list(dis.get_instructions('x'))) > 0", True),
    "enum": ("enum.Enum('E', 'A').A.value", 1),
    "errno": ("errno.EPERM", 1),
    "fileinput": ("fileinput.lineno is not None", True),
    "fractions": ("str(fractions.Fraction(2, 4))", "1/2"),
    "functools": ("functools.reduce(int.__add__, [1, 2, 3])", 6),
    "gc": ("gc.collect() >= 0", True),
    "graphlib": ("list(graphlib.TopologicalSorter({1: [2]}).static_order())", [2, 1]),
    "hashlib": (
        "[hashlib.new(n, b'').hexdigest()[:4] for n in ('md5', 'sha1', 'sha256', 'sha3_256', 'blake2b')]",
        ["d41d", "da39", "e3b0", "a7ff", "786a"],
    ),
    "heapq": ("heapq.nsmallest(2, [3, 1, 2])", [1, 2]),
    "hmac": ("hmac.new(b'k', b'm', 'sha256').hexdigest()[:8]", "b60090e3"),
    "html": ("html.unescape('&eacute;&lt;')", "é<"),
    "inspect": ("str(inspect.signature(lambda a, b=1: 0))", "(a, b=1)"),
    "io": ("io.StringIO('a').read()", "a"),
    "itertools": ("list(itertools.accumulate([1, 2]))", [1, 3]),
    "json": ("json.loads(json.dumps({'a': [1.5, None]}, indent=1))", {"a": [1.5, None]}),
    "keyword": ("keyword.iskeyword('if')", True),
    "linecache": ("linecache.getline('/etc/passwd', 1)", ""),
    "locale": ("locale.localeconv()['decimal_point']", "."),
    "logging": ("logging.getLogger('x').isEnabledFor(logging.ERROR)", True),
    "marshal": ("marshal.loads(marshal.dumps(1))", 1),
    "math": ("math.gcd(12, 18)", 6),
    "numbers": ("isinstance(1, numbers.Integral)", True),
    "operator": ("operator.itemgetter(1)([1, 2])", 2),
    "os": ("os.sep", "/"),
    "os.path": ("os.path.join('a', 'b')", "a/b"),
    "pathlib": ("str(pathlib.PurePath('a') / 'b')", "a/b"),
    "pickle": ("pickle.loads(pickle.dumps({1}))", {1}),
    "posixpath": ("posixpath.basename('a/b')", "b"),
    "pprint": ("pprint.pformat([1])", "[1]"),
    "queue": ("[q := queue.PriorityQueue(), q.put(2), q.put(1), q.get()][3]", 1),
    "random": ("sorted(random.sample(range(3), 3)) + [random.Random(1).randint(5, 5)]", [0, 1, 2, 5]),
    "re": ("re.sub(r'(?i)A+', '-', 'xaAy')", "x-y"),
    "reprlib": ("reprlib.repr(list(range(99)))", "[0, 1, 2, 3, 4, 5, ...]"),
    "secrets": ("secrets.compare_digest('a', 'a')", True),
    "shlex": ("shlex.split('a \"b c\"')", ["a", "b c"]),
    "signal": ("signal.SIGTERM.value", 15),
    "stat": ("stat.S_ISDIR(0o040000)", True),
    "statistics": ("statistics.median([1, 2, 9])", 2),
    "string": ("string.capwords('a b')", "A B"),
    "struct": ("struct.unpack('<H', b'\\1\\0')", (1,)),
    "sys": ("sys.maxsize > 0", True),
    "textwrap": ("textwrap.dedent(' a')", "a"),
    "threading": ("threading.Lock().acquire()", True),
    "time": ("time.strftime('%Y', time.gmtime(0))", "1970"),
    "timeit": ("timeit.timeit('1', number=1) >= 0", True),
    "token": ("token.tok_name[1]", "NAME"),
    "tokenize": ("len(list(tokenize.generate_tokens(iter(['x\\n']).__next__))) > 1", True),
    "traceback": ("traceback.format_exception_only(ValueError('x'))", ["ValueError: x\n"]),
    "types": ("types.SimpleNamespace(a=1).a", 1),
    "typing": ("str(typing.Optional[int])", "typing.Optional[int]"),
    "unicodedata": ("unicodedata.normalize('NFD', 'é')", "e\u0301"),
    "urllib.parse": ("urllib.parse.urlparse('http://a/b').path", "/b"),
    "uuid": ("str(uuid.uuid5(uuid.NAMESPACE_DNS, 'a'))", "4f3f2898-69e3-5a0d-820a-c4e87987dbce"),
    "warnings": ("warnings.warn('quiet')", None),
    "weakref": ("weakref.ref(type).__call__() is type", True),
    "zlib": ("zlib.decompress(zlib.compress(b'x'))", b"x"),
    "zoneinfo": ("issubclass(zoneinfo.ZoneInfo, __import__('datetime').tzinfo)", True),
}


def test_every_allowed_module_has_a_golden_call():
    assert set(GOLDEN) == set(ALLOWED)


@pytest.mark.parametrize("name", ALLOWED)
def test_module_works_inside(executor, name):
    expression, value = GOLDEN[name]
    (done,) = executor.run(f"import {name}\ndef f():\n    return {expression}", "f", [()])
    assert done.ok, done
    if name != "typing":  # its spelling changes between versions of Python
        assert done.result() == value
    assert done.stdout == ""


@pytest.mark.parametrize("name", ["socket", "subprocess", "ctypes", "asyncio", "multiprocessing", "numpy", "code_envs"])
def test_other_modules_are_an_ordinary_import_error(executor, name):
    (done,) = executor.run(f"def f():\n    import {name}", "f", [()])
    assert (done.status, done.exception) == ("raised", "ModuleNotFoundError")
    (done,) = executor.run(f"def f():\n    try: import {name}\n    except ImportError: return 'none'", "f", [()])
    assert done.result() == "none"
