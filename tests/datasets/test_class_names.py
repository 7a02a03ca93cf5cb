"""Files that name classes: the first column for the names of folders, the last for what is shown."""

from pathlib import Path

import pytest

from captum_superpixel._checks import InputError
from captum_superpixel.datasets import read_classes
from captum_superpixel.datasets.class_names import read_labels

TABLE = "\ufeffn01\tfish\ttench\r\nn02\tgoldfish \ncrane\n\n"


def test_classes_are_the_first_column_and_labels_the_last(tmp_path: Path) -> None:
    (tmp_path / "table.tsv").write_text(TABLE, encoding="utf-8")
    assert read_classes(tmp_path / "table.tsv") == ["n01", "n02", "crane"]
    assert read_classes(str(tmp_path / "table.tsv")) == ["n01", "n02", "crane"]
    assert read_labels(tmp_path / "table.tsv") == ["tench", "goldfish", "crane"]
    assert read_classes(("b", "a")) == ["b", "a"]


def test_labels_may_repeat_and_classes_may_not(tmp_path: Path) -> None:
    (tmp_path / "cranes.tsv").write_text("n517\tcrane\nn134\tcrane\n")
    assert read_labels(tmp_path / "cranes.tsv") == ["crane", "crane"]
    (tmp_path / "twice.tsv").write_text("a\tx\nb\na\ty\n")
    with pytest.raises(ValueError, match=r"^classes .*twice\.tsv: 'a' is named twice, as classes 0 and 2"):
        read_classes(tmp_path / "twice.tsv")
    with pytest.raises(ValueError, match=r"^classes: 'b' is named twice, as classes 0 and 1"):
        read_classes(["b", "b"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\n\nb\n", r"names\.txt: line 2 has no name; line i names class i"),
        (b"", r"names\.txt: line 1 has no name"),
        (b"\xff\xfe\x00", r"names\.txt cannot be read \(UnicodeDecodeError"),
        (None, r"names\.txt cannot be read \(FileNotFoundError"),
    ],
)
def test_files_that_cannot_be_used(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^classes .*{message}"):
        read_classes(path)
    with pytest.raises(InputError, match=f"^labels .*{message}"):
        read_labels(path)
    with pytest.raises(InputError, match=f"^--labels .*{message}") as caught:
        read_labels(path, name="--labels")
    assert "\n" not in str(caught.value)


def test_lists_that_cannot_be_used() -> None:
    with pytest.raises(ValueError, match="list of classes is empty"):
        read_classes([])
    with pytest.raises(ValueError, match=r"^classes: line 2 has no name"):
        read_classes(["a", ""])
    with pytest.raises(TypeError, match=r"entry 1 is 5 \(int\)"):
        read_classes(["a", 5])  # type: ignore[list-item]
