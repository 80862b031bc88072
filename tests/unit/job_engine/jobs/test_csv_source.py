import os
import socket
from contextlib import closing, suppress
from pathlib import Path

import pytest

from failsoft.job_engine import NonRetryableError
from failsoft.job_engine.jobs.data_sync.csv_folder import SourceUnavailableError, open_below
from failsoft.job_engine.jobs.http_replies import PeerUnavailableError
from tests.unit.job_engine.jobs.imports import PEOPLE, URL, Bench, Web, people


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(PEOPLE)
    return path


def test_a_url_is_downloaded_once_an_attempt() -> None:
    web = Web()
    bench = Bench(web)

    bench.crash("batch-2", people(URL))
    report = bench.run(people(URL))

    assert report.rows_imported == 7
    assert bench.ages == [1, 2, 3, 4, 5, 6, 7]
    assert web.requests == 2
    assert '"etag":"\\"v1\\""' in bench.job.ledger.steps[0].result


def test_a_url_whose_content_changed_before_the_import_resumed_is_refused() -> None:
    web = Web()
    bench = Bench(web)
    bench.crash("batch-2", people(URL))
    web.content += b"person 8,8\n"

    with pytest.raises(NonRetryableError, match="sha256"):
        bench.run(people(URL))


def test_a_download_that_is_too_long_is_refused() -> None:
    bench = Bench(max_bytes=20)

    with pytest.raises(NonRetryableError, match="at most 20 bytes"):
        bench.run(people(URL))


@pytest.mark.parametrize(
    ("status", "error"), [(503, PeerUnavailableError), (404, NonRetryableError)]
)
def test_a_server_that_has_no_file_is_believed_or_tried_again(
    status: int, error: type[Exception]
) -> None:
    with pytest.raises(error, match=str(status)):
        Bench(Web(status=status)).run(people(URL))


def test_a_file_that_is_not_here_may_be_on_another_host(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError, match="on this host"):
        Bench().run(people(tmp_path / "people.csv"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(NonRetryableError, match="regular file"):
        Bench().run(people(tmp_path))


@pytest.mark.fault("F49")
def test_without_a_folder_no_file_is_read(file: Path) -> None:
    bench = Bench(folder=None)

    for path in (file, "people.csv", "/proc/self/environ", "/dev/zero", f"file://{file}", ""):
        with pytest.raises((NonRetryableError, ValueError), match=r"FOLDER|at least 1"):
            bench.run(people(path))
    assert bench.run(people(URL)).rows_imported == 7


@pytest.mark.parametrize("place", ["/proc/self/environ", "/sys/kernel/notes", "/dev/null"])
def test_no_file_of_the_kernel_is_read_though_the_folder_holds_all(place: str) -> None:
    with pytest.raises(NonRetryableError, match="below"):
        Bench(folder=Path("/")).run(people(place))


@pytest.mark.fault("F49")
@pytest.mark.parametrize("link", ["/proc/self/root/etc/passwd", "/proc/self/environ", "/dev/zero"])
def test_no_link_leads_out_of_the_folder(tmp_path: Path, link: str) -> None:
    (tmp_path / "link.csv").symlink_to(link)

    with pytest.raises(NonRetryableError, match="below"):
        open_below(tmp_path, "link.csv")


def test_a_link_within_the_folder_is_followed(file: Path) -> None:
    (file.parent / "inner").mkdir()
    (file.parent / "inner" / "link.csv").symlink_to("../people.csv")

    assert Bench(folder=file.parent).run(people("inner/link.csv")).rows_imported == 7


@pytest.mark.fault("F49")
def test_a_pipe_is_neither_read_nor_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")

    with pytest.raises(NonRetryableError, match="regular file"):
        open_below(tmp_path, "pipe.csv")


def test_a_socket_is_no_file(tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(tmp_path / "socket.csv"))

        with pytest.raises(NonRetryableError, match="regular file"):
            open_below(tmp_path, "socket.csv")


@pytest.mark.fault("F49")
@pytest.mark.parametrize("swapped", ["inner", "inner/people.csv"])
def test_what_is_exchanged_for_a_link_meanwhile_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    folder, outside = tmp_path / "imports", tmp_path / "outside"
    for each in (folder / "inner", outside):
        each.mkdir(parents=True)
        (each / "people.csv").write_text("secret" if each is outside else PEOPLE)
    resolve = Path.resolve

    def swap_after(path: Path, *, strict: bool = False) -> Path:
        found = resolve(path, strict=strict)
        if path.name == "people.csv":
            # The moment between the check of a path and its opening.
            place = folder / swapped
            place.rename(tmp_path / "away")
            place.symlink_to(outside / Path(swapped).relative_to("inner"))
        return found

    monkeypatch.setattr(Path, "resolve", swap_after)
    with pytest.raises(NonRetryableError, match=r"link|regular file"):
        open_below(folder, "inner/people.csv")


@pytest.mark.parametrize("path", ["a\0b", "a" * 5000, "x" * 300])
def test_a_path_that_no_system_has_is_no_file(tmp_path: Path, path: str) -> None:
    with pytest.raises(SourceUnavailableError):
        open_below(tmp_path, path)


def test_no_descriptor_is_left_open(file: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    for path in ("people.csv", "absent.csv", "../x", "."):
        with suppress(NonRetryableError, SourceUnavailableError):
            open_below(file.parent, path).close()

    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("path", ["../people.csv", "link.csv", "inner/../../people.csv"])
def test_a_file_outside_the_folder_is_not_read(file: Path, path: str) -> None:
    folder = file.parent / "imports"
    (folder / "inner").mkdir(parents=True)
    (folder / "link.csv").symlink_to(file)
    bench = Bench(folder=folder)

    for outside in (path, str(file)):
        with pytest.raises(NonRetryableError, match="below"):
            bench.run(people(outside))


def test_a_relative_path_begins_at_the_folder(file: Path) -> None:
    assert Bench(folder=file.parent).run(people(file.name)).rows_imported == 7
