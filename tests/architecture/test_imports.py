"""One flow: imports point one way, SQL and the environment have their rooms."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What each room may import of the others. Only the composition roots (app.main, app.cli and the
# commands that it puts together) see everything.
ALLOWED: dict[str, set[str]] = {
    "app.errors": set(),
    "app.market": {"app.errors"},
    "app.settings": {"app.errors"},
    "app.validation": {"app.errors", "app.market"},
    "app.storage": {"app.errors", "app.market"},
    "app.ingestion": {"app.errors", "app.market", "app.validation", "app.storage"},
    "app.rollups": {"app.errors", "app.market", "app.storage"},
    "app.query": {"app.errors", "app.market", "app.storage", "app.rollups"},
    "app.live": {"app.errors", "app.market", "app.storage", "app.query"},
    "app.embedded": {"app.errors"},
    "app.web": set(),
    "app.telemetry": set(),
    "graphql_schema": {
        "app.errors",
        "app.market",
        "app.validation",
        "app.storage",
        "app.ingestion",
        "app.rollups",
        "app.query",
        "app.live",
    },
    "migrations": set(),
}
ROOTS = {"app.main", "app.exposition", "app.cli", "app.commands"}
# app.embedded looks after its own database, as a server would.
SQL_ROOMS = {
    "app.storage",
    "app.rollups",
    "app.query",
    "app.embedded",
    "migrations",
}
SQL_STARTS = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH ", "CALL ", "CREATE ", "COPY ")


def modules() -> Iterator[tuple[str, Path]]:
    for top in ("app", "graphql_schema", "migrations"):
        for path in sorted((ROOT / top).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path


def room_of(module: str) -> str:
    first, _, rest = module.partition(".")
    return first if first != "app" or not rest else f"app.{rest.split('.')[0]}"


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = list(modules())


@pytest.mark.parametrize(("module", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_imports_point_one_way(module: str, path: Path) -> None:
    room = room_of(module)
    if room in ROOTS or module == "app":
        return
    for name in imports_of(path):
        if name.split(".")[0] in {"app", "graphql_schema", "migrations"}:
            target = room_of(name)
            assert target == room or target in ALLOWED[room], f"{module} imports {name}"


def test_every_room_is_on_the_map() -> None:
    rooms = {room_of(name) for name, _ in MODULES} - {"app"}
    assert rooms == set(ALLOWED) | ROOTS


@pytest.mark.parametrize(("module", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_sql_lives_in_its_rooms(module: str, path: Path) -> None:
    if room_of(module) in SQL_ROOMS:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not node.value.lstrip().startswith(SQL_STARTS), f"{module}:{node.lineno}"


@pytest.mark.parametrize(("module", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_only_settings_reads_the_environment(module: str, path: Path) -> None:
    if module == "app.settings":
        return
    names = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert not names & {"environ", "getenv", "environb"}, module


@pytest.mark.parametrize(("module", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_modules_stay_small_and_have_a_docstring(module: str, path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 300, module
    assert ast.get_docstring(ast.parse(text)), module


def test_names_say_what_a_module_is() -> None:
    empty = {"util", "utils", "helper", "helpers", "common", "base", "misc", "manager", "service"}
    assert not [name for name, _ in MODULES if empty & set(name.replace("_", ".").split("."))]
