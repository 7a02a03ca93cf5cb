"""Small data sets in the real formats, and a machine without network."""

import io
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from PIL import Image
from torch import Tensor


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Refuse every connection, and list what was tried: a client may swallow the refusal."""
    tried: list[object] = []

    def refuse(*arguments: object, **options: object) -> NoReturn:
        tried.append(arguments)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tried


@pytest.fixture
def pixels() -> Tensor:
    """Twelve images (12, 3, 8, 8) of noise."""
    return torch.randint(256, (12, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(7))


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """From pixels (3, H, W) uint8 to the bytes of an image file."""

    def encode(image: Tensor, kind: str = "png") -> bytes:
        stream = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(stream, kind)
        return stream.getvalue()

    return encode


@pytest.fixture
def write_parquet(tmp_path: Path) -> Callable[..., Path]:
    """Writes a Parquet file as the hub has them: structs of bytes and path, the features in the metadata."""
    datasets, pyarrow = pytest.importorskip("datasets"), pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def write(
        name: str,
        contents: Sequence[bytes | None],
        labels: Sequence[int | None],
        classes: Sequence[str] | None = ("a", "b", "c"),
        columns: tuple[str, str] = ("img", "label"),
    ) -> Path:
        label = datasets.Value("int64") if classes is None else datasets.ClassLabel(names=list(classes))
        schema = datasets.Features({columns[0]: datasets.Image(), columns[1]: label}).arrow_schema
        images = [{"bytes": content, "path": f"{i}.png"} for i, content in enumerate(contents)]
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pyarrow.table([images, list(labels)], schema=schema), path)
        return path

    return write
