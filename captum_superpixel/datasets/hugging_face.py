"""Hugging Face ``datasets`` on local files only, without network, bars, messages or a cache in the home folder."""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any


@contextmanager
def stream_local_files(builder: str, patterns: Sequence[str], **options: Any) -> Iterator[Any]:
    """Open local files by one of the readers of ``datasets``.

    Args:
        builder: ``"parquet"`` or ``"imagefolder"``.
        patterns: Absolute glob patterns of files.
        options: Passed on to the reader.

    Yields:
        A ``datasets.IterableDataset``, to be read within the context.

    Raises:
        ImportError: If ``datasets`` is not installed.
    """
    datasets = import_datasets()
    config, logging = datasets.config, datasets.utils.logging
    # Even for local files, load_dataset sends a request that counts downloads unless these say no.
    settings = {"HF_HUB_OFFLINE": True, "HF_UPDATE_DOWNLOAD_COUNTS": False}
    before = {name: getattr(config, name) for name in settings if hasattr(config, name)}
    bars, verbosity = datasets.utils.are_progress_bars_disabled(), logging.get_verbosity()
    try:
        for name in before:
            setattr(config, name, settings[name])
        datasets.utils.disable_progress_bars()
        logging.set_verbosity(logging.CRITICAL)
        # Streamed, because otherwise everything is first copied into an Arrow file.
        with tempfile.TemporaryDirectory() as folder:
            yield datasets.load_dataset(
                builder, data_files={"all": list(patterns)}, split="all", streaming=True, cache_dir=folder, **options
            )
    finally:
        for name, value in before.items():
            setattr(config, name, value)
        if not bars:
            datasets.utils.enable_progress_bars()
        logging.set_verbosity(verbosity)


def import_datasets() -> Any:
    """Import ``datasets``.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        return import_module("datasets")
    except ImportError as error:
        raise ImportError(
            "real data are read by Hugging Face datasets, which is not installed; "
            'install the extra "data": pip install "captum-superpixel[data]".'
        ) from error


def literal(path: str | os.PathLike[str]) -> str:
    """Turn a path into a pattern that matches it alone, even if there are brackets or asterisks in its name."""
    return glob.escape(os.fspath(path))
