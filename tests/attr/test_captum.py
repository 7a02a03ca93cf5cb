"""The one door to Captum's private parts."""

import ast
from pathlib import Path

import captum_superpixel

PACKAGE = Path(captum_superpixel.__file__).parent
DOOR = PACKAGE / "attr" / "_captum.py"


def private_imports(path: Path) -> list[str]:
    """List the modules of Captum that a file imports and that are private, or are not meant for users (its log)."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    parts = [name.split(".") for name in names if name.split(".")[0] == "captum"]
    return [".".join(part) for part in parts if part[1:2] == ["log"] or any(piece.startswith("_") for piece in part)]


def test_no_other_file_imports_private_parts_of_captum() -> None:
    assert len(private_imports(DOOR)) == 9
    found = {path.relative_to(PACKAGE): private_imports(path) for path in PACKAGE.rglob("*.py") if path != DOOR}
    assert len(found) > 60
    assert {path: names for path, names in found.items() if names} == {}
