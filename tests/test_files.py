"""Files that are written whole or not at all, kept with a checksum, and checked before the work."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

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
