"""Change the arithmetic, one operator, constant, comparison or return at a time, and test it.

    python -m tests.mutants [MODULE...]

A change that no test notices is a missing test, unless it changes nothing that anyone could see:
those are listed in `equivalent_mutants.toml`, each with why. Sentences, annotations, decorators,
and what only asserts are left as they are.
"""

from __future__ import annotations

import ast
import copy
import multiprocessing
import os
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import NamedTuple

from tests.paths import ROOT

# The tests of each module; the ones that notice most come first.
DIFFERENTIAL = "engine/test_differential.py"
RECORDING = "engine/test_recording.py"
VERIFY = "controls/test_verify.py"
ATTENTION = "evidence/test_attention_evidence.py"
TESTS = {
    "engine/activations.py": ("engine/test_activations.py", DIFFERENTIAL, RECORDING),
    "engine/packed.py": ("engine/test_capture.py", "engine/test_architectures.py"),
    "engine/padded.py": ("engine/test_capture.py",),
    "engine/words.py": ("engine/test_word_positions.py",),
    "engine/scores/attention.py": (ATTENTION,),
    "engine/scores/differential.py": (DIFFERENTIAL,),
    "circuits/selection.py": (
        "circuits/test_selection.py",
        "circuits/test_steps.py",
        "controls/test_stability.py",
    ),
    "circuits/scores.py": (
        "circuits/test_scores.py",
        DIFFERENTIAL,
        "circuits/test_selection.py",
        "claims/test_rank_checks.py",
        "claims/test_truth.py",
    ),
    "circuits/intervals.py": ("circuits/test_intervals.py",),
    "controls/stability.py": ("controls/test_stability.py",),
    "controls/null.py": ("controls/test_null.py",),
    "controls/length.py": ("controls/test_length.py", VERIFY),
    "controls/published_length.py": (
        "controls/test_length.py",
        VERIFY,
        "report/test_extreme_figures.py",
    ),
    "controls/chance.py": ("controls/test_chance.py",),
    "controls/exchanges.py": ("controls/test_null.py", "controls/test_property.py"),
    "controls/property.py": ("controls/test_property.py", VERIFY),
    "controls/halves.py": ("controls/test_halves.py", ATTENTION),
    "controls/null_circuit.py": ("controls/test_null_circuit.py",),
    "controls/markers.py": ("controls/test_markers.py",),
    "controls/words.py": ("controls/test_words.py", VERIFY),
    "controls/verify.py": (VERIFY, ATTENTION),
}
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.toml")
WANTED = 0.95  # of the mutants that are not equivalent, how many the tests must notice
AT_ONCE = 2  # mutants
LONGEST = 300  # seconds of a mutant's tests: one that takes longer never ends
CONTEXT = multiprocessing.get_context("forkserver")
# What takes long to load and is not mutated is loaded once.
SHARED = ["hypothesis.extra.numpy", "pytest", "scipy.stats", "torch", "transformer_lens"]

OPERATORS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Div,),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}


class Mutant(NamedTuple):
    """A module with one change: its line, as it stands there, and the change."""

    module: str
    number: int
    line: str
    change: str
    tree: ast.Module

    @property
    def place(self) -> tuple[str, str, str]:
        """What finds it again when lines have moved."""
        return self.module, self.line, self.change


def main(modules: Sequence[str]) -> int:
    """Test every mutant and print those that survive; the exit status."""
    CONTEXT.set_forkserver_preload(SHARED)
    modules = modules or list(TESTS)
    unchanged = [Mutant(module, 0, "", "", tree_of(module)) for module in modules]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for mutant, survived in zip(unchanged, pool.map(survives, unchanged), strict=True):
            if not survived:
                print(f"{mutant.module}: its tests fail as it is")
                return 1
        return summary([counts_of(module, pool) for module in modules])


def counts_of(module: str, pool: ThreadPoolExecutor) -> tuple[int, int, int]:
    """How many mutants of a module there are, are killed, and are wrong about being equivalent."""
    started = time.monotonic()
    equivalent = equivalents(module)
    every = list(mutants(module))
    n_killed, lies = 0, equivalent - {mutant.place for mutant in every}
    for mutant, survived in zip(every, pool.map(survives, every), strict=True):
        if mutant.place in equivalent:
            lies |= set() if survived else {mutant.place}
        elif survived:
            print(f"{module}:{mutant.number}: {mutant.change}: {mutant.line}", flush=True)
        else:
            n_killed += 1
    for _, line, change in sorted(lies):
        print(f"{module}: listed as equivalent, and is not, or not there: {change}: {line}")
    n_counted = sum(mutant.place not in equivalent for mutant in every)
    print(
        f"{module}: {n_killed} of {n_counted} killed, {len(every) - n_counted} equivalent,"
        f" {time.monotonic() - started:.0f} s",
        flush=True,
    )
    return n_counted, n_killed, len(lies)


def summary(counts: Sequence[tuple[int, int, int]]) -> int:
    """Print the score; the exit status."""
    n_counted, n_killed, n_lies = map(sum, zip(*counts, strict=True))
    share = n_killed / n_counted
    print(f"{n_killed} of {n_counted} killed: {share:.1%}, at least {WANTED:.0%} wanted")
    return int(share < WANTED or n_lies > 0)


def equivalents(module: str) -> set[tuple[str, str, str]]:
    """The places of the mutants that are listed as equivalent."""
    listed = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["equivalent"]
    assert all(one["why"] for one in listed)
    return {(module, one["line"], one["change"]) for one in listed if one["module"] == module}


def source(module: str) -> Path:
    """The file of a module."""
    return ROOT / "replication" / module


def tree_of(module: str) -> ast.Module:
    """A module as it is."""
    return ast.parse(source(module).read_text(encoding="utf-8"))


def mutants(module: str) -> Iterator[Mutant]:
    """Every mutant of a module."""
    tree = tree_of(module)
    lines = source(module).read_text(encoding="utf-8").splitlines()
    for path in paths(tree):
        node = at(tree, path)
        for changed in changes(node):
            whole = copy.deepcopy(tree)
            *to_parent, last = path
            put(at(whole, to_parent), last, changed)
            ast.fix_missing_locations(whole)
            number = getattr(node, "lineno")  # noqa: B009
            before, after = (ast.unparse(one).splitlines()[0] for one in (node, changed))
            change = f"`{before}` → `{after}`"
            yield Mutant(module, number, lines[number - 1].strip(), change, whole)


Step = tuple[str, int | None]  # a field of a node, and the place in it if it is a list


def paths(node: ast.AST) -> Iterator[tuple[Step, ...]]:
    """The ways from a node to every node below it that computes something."""
    for name, value in ast.iter_fields(node):
        if is_left_alone(node, name):
            continue
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(child, ast.AST):
                step: Step = (name, index if isinstance(value, list) else None)
                yield (step,)
                yield from ((step, *further) for further in paths(child))


def is_left_alone(node: ast.AST, field: str) -> bool:
    """Whether what stands there computes nothing: types, decorators, messages, assertions."""
    match node:
        case ast.Assert() | ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Raise() | ast.Expr(value=ast.Constant()):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Subscript(value=ast.Name(id="Literal")) | ast.Call(func=ast.Name(id="TypeVar")):
            return True
        case ast.keyword(arg="strict", value=ast.Constant()):
            return True
    return field in ("annotation", "returns", "decorator_list")


def at(node: ast.AST, path: Sequence[Step]) -> ast.AST:
    """The node at the end of a way."""
    for name, index in path:
        found = getattr(node, name)
        node = found if index is None else found[index]
    return node


def put(node: ast.AST, step: Step, changed: ast.AST) -> None:
    """Put another node in the place of one of a node's own."""
    name, index = step
    if index is None:
        setattr(node, name, changed)
    else:
        getattr(node, name)[index] = changed


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What a node is changed to."""
    match node:
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=str(value)) if len(value.split()) < 3:
            yield ast.Constant(value + "?")
        case ast.UnaryOp():
            yield node.operand
        case ast.BinOp() | ast.AugAssign() | ast.BoolOp():
            yield from operated(node)
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                for other in OPERATORS[type(operator)]:
                    changed = copy.deepcopy(node)
                    changed.ops[place] = other()  # type: ignore[call-overload]
                    yield changed
        case ast.If() | ast.IfExp() if not isinstance(node.test, ast.Compare | ast.UnaryOp):
            changed_test = copy.deepcopy(node)
            changed_test.test = ast.UnaryOp(ast.Not(), changed_test.test)
            yield changed_test
        case ast.Return(value=ast.expr()) if ast.unparse(node) != "return None":
            yield ast.Return(ast.Constant(None))


def operated(node: ast.BinOp | ast.AugAssign | ast.BoolOp) -> Iterator[ast.AST]:
    """The node with another operator."""
    for other in OPERATORS[type(node.op)]:
        changed = copy.deepcopy(node)
        changed.op = other()  # type: ignore[assignment]
        yield changed


def survives(mutant: Mutant) -> bool:
    """Whether no test of its module notices a mutant."""
    process = CONTEXT.Process(target=run_tests, args=(mutant,))
    process.start()
    process.join(LONGEST)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode == 0


def run_tests(mutant: Mutant) -> None:
    """Run the tests of a mutant's module with the mutant in its place, and exit as they do."""
    import hypothesis
    import pytest

    get_code = SourceFileLoader.get_code
    changed = str(source(mutant.module))

    def get_mutant(loader: SourceFileLoader, name: str) -> CodeType | None:
        if loader.path == changed:
            return compile(mutant.tree, changed, "exec")
        return get_code(loader, name)

    SourceFileLoader.get_code = get_mutant  # type: ignore[assignment, method-assign]
    # Always the same examples; the smallest that fails is not looked for.
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("mutants", derandomize=True, database=None, phases=phases)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    os.chdir(ROOT)
    files = [f"tests/{name}" for name in TESTS[mutant.module]]
    options = ["-x", "--assert=plain", "--hypothesis-profile=mutants", "-p", "no:cacheprovider"]
    os._exit(pytest.main([*files, "-m", "not slow", *options]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
