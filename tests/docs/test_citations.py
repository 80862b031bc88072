"""Whatever a comment, a docstring or a page cites stands in the repository."""

import pytest

from tests.docs.citations import (
    ROOT,
    Citation,
    citations,
    citations_in,
    defined,
    defined_in_protocol,
    ids_of,
    unresolved,
)

PROTOCOL = (ROOT / "docs" / "explain" / "protocol.md").read_text()


def test_every_citation_resolves() -> None:
    missing = unresolved(citations(), defined())

    assert not missing, "\n".join(str(each) for each in missing)


def test_the_protocol_defines_each_id_once() -> None:
    found = defined_in_protocol(PROTOCOL)

    assert len(found) == len(set(found))


def test_the_protocol_has_every_rule_invariant_race_and_mutation() -> None:
    expected = {f"rule {number}" for number in range(1, 27)}
    expected |= {f"I{number}" for number in range(1, 13)}
    expected |= {f"R{number}" for number in range(1, 34)}
    expected |= {f"M{number}" for number in range(1, 17)}

    assert expected <= set(defined_in_protocol(PROTOCOL))


def test_the_finder_names_the_file_and_the_line_of_what_does_not_resolve() -> None:
    text = "# The fence (rule 7, R28).\n\n# Made up: rules 7 and 99, R77, RQ-98, F00, I40.\n"

    missing = unresolved(citations_in("made_up.py", text), {"rule 7", "R28"})

    assert missing == [
        Citation("made_up.py", 3, "rule 99"),
        Citation("made_up.py", 3, "R77"),
        Citation("made_up.py", 3, "RQ-98"),
        Citation("made_up.py", 3, "F00"),
        Citation("made_up.py", 3, "I40"),
    ]
    assert str(missing[0]) == "made_up.py:3: rule 99"


def test_a_made_up_id_resolves_to_nothing_in_the_repository() -> None:
    text = "rule 99, R77, I40, M40, RQ-98, F00, decision 9999, docs/no-such-page.md"

    assert len(unresolved(citations_in("made_up.py", text), defined())) == len(text.split(", "))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("rules 7 and 12", ["rule 12", "rule 7"]),
        ("Rules 1, 3 to 5", ["rule 1", "rule 3", "rule 4", "rule 5"]),
        (
            "    # as the rules 7\n    # and 12 say, and rule\n    8",
            ["rule 12", "rule 7", "rule 8"],
        ),
        ("see decision\n#: 0029", ["decision 0029"]),
        ("(R17, R18)", ["R17", "R18"]),
        ("see decision 0029 and docs/decisions/0033.", ["decision 0029", "decision 0033"]),
        ("as docs/how-to/jobs/steps.md shows", ["docs/how-to/jobs/steps.md"]),
        ("MQ-03, DB-01", ["MQ-03", "DB-01"]),
        ("nothing else writes one (protocol 5.4)", ["protocol 5.4"]),
        ("(design 5, step 2)", ["design 5"]),
        ("protocol.md, section 6", ["protocol.md, section 6"]),
        ("a rule of thumb, R and I, version 1.2, RFC 3339, F1", []),
    ],
)
def test_the_finder_reads_citations_as_they_are_written(text: str, ids: list[str]) -> None:
    assert [each for _, each in sorted(ids_of(text))] == ids
