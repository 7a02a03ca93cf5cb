"""What import-linter cannot hold: a room's private files are its own."""

import ast
from pathlib import Path

import captum_superpixel

PACKAGE = Path(captum_superpixel.__file__).parent


def imported_modules(path: Path) -> set[str]:
    """List what a file imports, with the names that it takes, as these may be modules."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def test_no_room_imports_a_private_file_of_another() -> None:
    found = []
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0]
        for name in imported_modules(path):
            parts = name.split(".")
            inside = parts[0] == "captum_superpixel" and len(parts) > 2 and (PACKAGE / parts[1]).is_dir()
            if inside and parts[1] != room and any(part.startswith("_") for part in parts[2:]):
                found.append((str(path.relative_to(PACKAGE)), name))
    assert len(list(PACKAGE.rglob("*.py"))) > 100
    assert found == []


def test_type_checkers_know_all_names_of_the_package_and_no_other() -> None:
    """A ``__getattr__`` of a module, which they would see, makes them take a typo for a name of it."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    assert "__getattr__" not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    hidden = [node for node in tree.body if isinstance(node, ast.If)]
    assert [ast.unparse(node.test) for node in hidden] == ["TYPE_CHECKING", "not TYPE_CHECKING"]
    known = {name.name for node in hidden[0].body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert known == {*captum_superpixel.__all__, *captum_superpixel._ROOMS}
