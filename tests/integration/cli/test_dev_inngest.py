"""`failsoft dev` brings a server that speaks Inngest's protocol."""

from failsoft.job_engine.values.redaction import redacted_url
from tests.integration.cli.command_line import CommandLine
from tests.integration.cli.test_dev import dev_cli, source, start

__all__ = ["dev_cli"]


def test_a_job_runs_on_inngest_with_nothing_installed_for_it(dev_cli: CommandLine) -> None:
    dev_cli.env["FAILSOFT_ENGINES"] = "rq,inngest"
    dev_cli.env["USE_RQ"] = "false"

    _, ready = start(dev_cli)
    source(dev_cli)
    done = dev_cli.run("dispatch", "add", '{"numbers": [40, 2]}', "--wait", "--json").json

    assert (done["result"], done["engine"]) == (42, "inngest")
    assert set(ready["workers"]) == {"inngest:threads"}
    url = ready["environment"]["FAILSOFT_INNGEST_URL"]
    assert url == redacted_url(url)
    assert url.startswith("http://127.0.0.1:")
