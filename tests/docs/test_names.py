"""No name that was given up is used again."""

from tests.docs.names import GLOSSARY, OLD_NAME, in_repository, in_text, retired

TABLE = """
## Terms
| `Stager` | offers what is due |
## Retired words
| `Ticker`, `Old` | `CronScheduler` | why |
| `Post` (of a worker) | `WorkerIdentity` | why |
| parentage | parent death | why |
"""


def test_nothing_has_a_retired_name() -> None:
    assert [str(each) for each in in_repository()] == []


def test_the_glossary_retires_words() -> None:
    assert len(retired(GLOSSARY.read_text())) > 20


def test_a_name_is_retired_everywhere_unless_its_row_says_where() -> None:
    assert retired(TABLE) == {"Ticker", "Old"}


def test_retired_words_are_found_in_code_and_nowhere_else() -> None:
    text = "class A:\n    old: Ticker\n    Older = 1\n"

    assert [str(each) for each in in_text("a.py", text, ["Ticker", "Old"])] == ["a.py:2: Ticker"]
    assert not [*in_text("a.md", text, ["Ticker", "Old"])]


def test_the_old_name_is_found_in_any_case_and_allowed_in_one_file_only() -> None:
    text = f"import {OLD_NAME}.queue\n{OLD_NAME.upper()}_JOBS=jobs\n"

    assert [each.line for each in in_text("a.toml", text, [])] == [1, 2]
    assert not [*in_text("CHANGELOG.md", text, [])]
