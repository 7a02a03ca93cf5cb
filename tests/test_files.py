"""Files that are written whole or not at all, kept with a checksum, and checked before the work."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Barrier

import pytest

from captum_superpixel import _files
from captum_superpixel._checks import InputError
from captum_superpixel._files import check_output_file, check_output_folder, read_signed, replacing, write_signed


def test_the_file_is_there_when_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == tmp_path  # a rename is atomic within a file system only
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")

    def write() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half of the n")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_before_the_first_byte_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "report.json"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_threads_that_write_the_same_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    gate = Barrier(8)

    def write(number: int) -> None:
        with replacing(path) as temporary:
            gate.wait()
            temporary.write_text(str(number) * 10_000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    content = path.read_text()
    assert len(content) == 10_000
    assert len(set(content)) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_as_long_as_the_system_takes(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250 + ".json")
    with replacing(path) as temporary:
        temporary.write_text("all")
    assert path.read_text() == "all"


class TestAbandoned:
    """Temporary files of processes that were killed, and of those that were not."""

    HOUR = 3600.0

    @pytest.fixture
    def begin(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
        """Write a file but for its end, as a process of a machine, so many hours ago."""
        open_files: list[AbstractContextManager[Path]] = []

        def begin(process: int, machine: str = "0123abcd", hours: float = 0.0) -> Path:
            with monkeypatch.context() as there:
                there.setattr(os, "getpid", lambda: process)
                there.setattr(_files, "_machine", lambda: machine)
                writing = replacing(tmp_path / "old")
                temporary = writing.__enter__()
            open_files.append(writing)  # whose end nothing of it would survive
            temporary.write_text("half of")
            then = time.time() - hours * self.HOUR
            os.utime(temporary, (then, then))
            return temporary

        return begin

    @pytest.fixture
    def dead(self) -> int:
        with subprocess.Popen([sys.executable, "-I", "-S", "-c", ""]) as process:
            pass
        return process.pid

    @staticmethod
    def write(folder: Path, monkeypatch: pytest.MonkeyPatch, machine: str = "0123abcd") -> None:
        """Write a file as a process does that has written nothing there yet."""
        monkeypatch.setattr(_files, "_looked_through", set())
        monkeypatch.setattr(_files, "_machine", lambda: machine)
        with replacing(folder / "new") as temporary:
            temporary.write_text("all")
        assert (folder / "new").read_text() == "all"

    @pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be asked whether they are there")
    def test_those_of_dead_processes_go_and_those_of_others_stay(
        self, begin: Callable[..., Path], dead: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left, ours = begin(dead), begin(os.getpid())
        # A process of this number is dead here, and may be alive elsewhere.
        elsewhere, unknown = begin(dead, "4567cdef", hours=23), begin(dead, "", hours=23)
        self.write(tmp_path, monkeypatch)
        assert not left.exists()
        assert all(path.exists() for path in (ours, elsewhere, unknown))

    def test_on_systems_that_cannot_tell_age_decides(
        self, begin: Callable[..., Path], dead: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "kill", None)  # on Windows it would end what it asks for
        files = {(machine, hours): begin(dead, machine, hours) for machine in ("0123abcd", "") for hours in (23, 25)}
        self.write(tmp_path, monkeypatch, machine="")
        assert {key for key, path in files.items() if path.exists()} == {("0123abcd", 23), ("", 23)}

    @pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be asked whether they are there")
    def test_another_users_process_is_alive(
        self, begin: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def deny(process: int, number: int) -> None:
            raise PermissionError(process, number)

        theirs = begin(123)
        monkeypatch.setattr(os, "kill", deny)
        self.write(tmp_path, monkeypatch)
        assert theirs.exists()

    def test_nothing_else_goes_however_old(
        self, begin: Callable[..., Path], dead: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hexes = "0" * 32
        names = ["film.part", ".film.part", f"{hexes}.part", f".{hexes}.parts", f".{hexes}0.part", f".x-1-{hexes}.part"]
        for name in names:
            (tmp_path / name).touch()
            os.utime(tmp_path / name, (0, 0))
        stubborn = tmp_path / f".{hexes}.part"  # one that cannot be removed stops nobody
        stubborn.mkdir()
        os.utime(stubborn, (0, 0))
        removed = begin(dead, hours=25)
        self.write(tmp_path, monkeypatch)
        assert {path.name for path in tmp_path.iterdir()} == {*names, stubborn.name, "new"}
        assert not removed.exists()

    def test_a_folder_is_looked_through_once(
        self, begin: Callable[..., Path], dead: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.write(tmp_path, monkeypatch)
        left = begin(dead, hours=25)
        with replacing(tmp_path / "newer") as temporary:
            temporary.touch()
        assert left.exists()

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes of a machine are not told from others")
    def test_this_machine_has_a_name_of_its_own(self) -> None:
        _files._machine.cache_clear()
        name = _files._machine()
        assert len(name) == 8
        with replacing(Path("file").absolute()) as temporary:
            assert temporary.name.startswith(f".{name}-{os.getpid()}-")
            temporary.touch()


class TestSigned:
    CONTENT = b"weights and other finished work " * 5

    def test_what_was_written_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "part"
        for content in (self.CONTENT, b""):
            write_signed(path, content)
            assert read_signed(path) == content
        assert list(tmp_path.iterdir()) == [path]

    def test_every_flipped_byte_is_found(self, tmp_path: Path) -> None:
        path = tmp_path / "part"
        write_signed(path, self.CONTENT)
        whole = path.read_bytes()
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(ValueError, match=r"the checksum of .*part is not that of its content"):
                read_signed(path)

    @pytest.mark.parametrize("length", [0, 10, 32, 40])
    def test_a_shortened_file_is_found(self, tmp_path: Path, length: int) -> None:
        path = tmp_path / "part"
        write_signed(path, self.CONTENT)
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(ValueError, match="the checksum of"):
            read_signed(path)

    def test_a_file_under_another_name_is_not_taken_for_that_one(self, tmp_path: Path) -> None:
        write_signed(tmp_path / "one", self.CONTENT)
        (tmp_path / "one").rename(tmp_path / "other")
        with pytest.raises(ValueError, match=r"the checksum of .*other"):
            read_signed(tmp_path / "other")

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="part"):
            read_signed(tmp_path / "part")


class TestOutputs:
    def test_files_and_folders_that_can_be_written(self, tmp_path: Path) -> None:
        check_output_file(tmp_path / "cat.PNG", "--out", (".png",))
        check_output_file(tmp_path / "cat", "--out")
        check_output_folder(tmp_path, "--out")
        check_output_folder(tmp_path / "new", "--out")
        check_output_folder(tmp_path / "new" / "newer", "--out", parents=True)
        assert list(tmp_path.iterdir()) == []

    def test_files_that_cannot(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"--out .*cat\.gif does not end in \.png or \.html\."):
            check_output_file(tmp_path / "cat.gif", "--out", (".png", ".html"))
        with pytest.raises(InputError, match=rf"path .*cat\.png: there is no folder {tmp_path / 'none'}; make it"):
            check_output_file(tmp_path / "none" / "cat.png", "path")
        with pytest.raises(InputError, match=rf"--out {tmp_path} is a folder; pass the name of a file in it"):
            check_output_file(tmp_path, "--out")

    def test_folders_that_cannot(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match=r"--out .*file is a file; pass the name of a folder"):
            check_output_folder(tmp_path / "file", "--out")
        with pytest.raises(InputError, match=r"--out .*new: there is no folder .*none; make it first"):
            check_output_folder(tmp_path / "none" / "new", "--out")
        with pytest.raises(InputError, match=r"--out .*file/new cannot be made or written to"):
            check_output_folder(tmp_path / "file" / "new", "--out", parents=True)
        # Root may write anywhere, so the system is made to say no.
        monkeypatch.setattr("os.access", lambda *_: False)
        with pytest.raises(InputError, match=r"--out .*new cannot be made or written to; pass another folder"):
            check_output_folder(tmp_path / "new", "--out")
