from pathlib import Path

import pytest

from tests.unit.jobs.imports import PEOPLE, URL, Bench, Web, people
from understudy.job_engine.errors import NonRetryableError
from understudy.job_engine.jobs.data_sync.csv_source import SourceUnavailableError
from understudy.job_engine.jobs.http_replies import PeerUnavailableError


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
    assert web.asked == 2
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
    with pytest.raises(SourceUnavailableError):
        Bench().run(people(tmp_path))


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
