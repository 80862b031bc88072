"""`failsoft ledger rotate-keys`."""

from tests.integration.cli.command_line import DOCTOR, CommandLine


def kids(cli: CommandLine) -> list[str]:
    with cli.ledger() as ledger:
        return [key.kid for key in ledger.signing_keys()]


def test_a_rotation_adds_a_key_and_lets_the_other_one_end(cli: CommandLine) -> None:
    (old,) = kids(cli)

    answer = cli.run("ledger", "rotate-keys", "--overlap", "2h", "--json")

    assert answer.status == 0
    ends = {key["kid"]: key["ends_at"] for key in answer.json["keys"]}
    assert ends.keys() == set(kids(cli))
    assert [kid for kid, end in ends.items() if end] == [old]
    assert "secret" not in answer.out
    (key,) = [each for each in cli.run(*DOCTOR).json["checks"] if "key" in each["check"]]
    assert key["found"].startswith(f"{old} signs")
    assert f"{old} until" in key["found"]


def test_a_key_that_leaked_ends_at_once(cli: CommandLine) -> None:
    (leaked,) = kids(cli)

    answer = cli.run("ledger", "rotate-keys", "--revoke", leaked)

    assert answer.status == 0
    assert leaked not in answer.out
    (other,) = kids(cli)
    assert other in answer.out


def test_a_key_that_is_not_there_cannot_be_revoked(cli: CommandLine) -> None:
    before = kids(cli)

    answer = cli.run("ledger", "rotate-keys", "--revoke", "cafe")

    assert answer.status == 2
    assert before[0] in answer.err
    assert kids(cli) == before
