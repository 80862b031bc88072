"""Checks of deploy/ by the tools of those who read it: `make check-deploy`.

Each tool is also given a file that it must refuse, so that one that accepts everything is noticed.
It runs with the tools' own environment, which has nothing of Failsoft.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from cloudcoil.models.keda import v1alpha1

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "failsoft"
VALUES = sorted((DEPLOY / "helm" / "values").glob("*.yaml"))
REFUSED = sorted((DEPLOY / "helm" / "refused").glob("*.yaml"))
UNITS = sorted((DEPLOY / "systemd").iterdir())
COMPOSE = (ROOT / "compose.yaml", DEPLOY / "compose.yaml")
SCRIPTS = (
    Path("tests/deploy/helm"),
    Path("tests/deploy/image"),
    Path("tests/deploy/inside"),
    Path("tests/servers/install"),
    Path("tests/dependencies/run"),
    Path(".ci/run"),
)
PROGRAMS = Path(sys.executable).parent
HELM = ROOT / ".tools" / "helm"
#: The most that `systemd-analyze security` may find exposed, of 100.
MOST_EXPOSED = 30
#: Where the units expect Failsoft.
INSTALLED = "/opt/failsoft/bin/failsoft"


@dataclass(frozen=True)
class Check:
    """One check: it passes if nothing is said.

    Attributes:
        name: What is checked, for people.
        run: Does it, and returns what is wrong.
    """

    name: str
    run: Callable[[], str]


def ran(*command: str | Path, text: str | None = None) -> tuple[int, str]:
    """Run a program; return its status and all that it said."""
    done = subprocess.run(
        list(map(str, command)), input=text, capture_output=True, text=True, check=False, cwd=ROOT
    )
    return done.returncode, done.stdout + done.stderr


def accepted(*command: str | Path) -> str:
    """Return what a program said if it refused."""
    status, said = ran(*command)
    return said or f"status {status}" if status else ""


def refused(*command: str | Path, text: str, because: str) -> str:
    """Return what a program said if it did not refuse a text for a reason."""
    status, said = ran(*command, text=text)
    return "" if status and because in said else f"expected {because!r}, got {status}: {said}"


def checks() -> Iterator[Check]:
    yield from _image()
    yield from _compose()
    yield from _yaml()
    yield from _chart()
    yield from _units()
    shellcheck = PROGRAMS / "shellcheck"
    yield Check("shellcheck accepts the scripts", lambda: accepted(shellcheck, *SCRIPTS))
    yield Check(
        "shellcheck refuses a mistake",
        lambda: refused(shellcheck, "-", text="#!/bin/sh\nrm $1\n", because="SC2086"),
    )


def _image() -> Iterator[Check]:
    hadolint = PROGRAMS / "hadolint"
    yield Check(
        "hadolint accepts the Dockerfile", lambda: accepted(hadolint, DEPLOY / "Dockerfile")
    )
    yield Check(
        "hadolint refuses a mistake",
        lambda: refused(hadolint, "-", text="FROM debian:latest\n", because="DL3007"),
    )


def _compose() -> Iterator[Check]:
    check = (PROGRAMS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec")
    for each in COMPOSE:
        name = each.relative_to(ROOT)
        yield Check(f"{name} is of the schema", lambda each=each: accepted(*check, each))
    typo = '{"services": {"worker": {"imagee": "x"}}}'
    yield Check(
        "a typo in a compose file is refused",
        lambda: refused(*check, "-", text=typo, because="imagee"),
    )


def _yaml() -> Iterator[Check]:
    files = [*COMPOSE, CHART / "Chart.yaml", CHART / "values.yaml", *VALUES, *REFUSED]
    rules = (
        "{extends: default, rules: {line-length: {max: 120}, document-start: disable, "
        "braces: {max-spaces-inside: 1}, comments: {min-spaces-from-content: 1}}}"
    )
    yield Check(
        "yamllint accepts what is written by hand",
        lambda: accepted(PROGRAMS / "yamllint", "--strict", "-d", rules, *files),
    )


def _chart() -> Iterator[Check]:
    for each in VALUES:
        yield Check(f"helm lint, {each.stem}", lambda each=each: _linted(each))
        yield Check(f"the manifests of {each.stem}", lambda each=each: _rendered(each))
    for each in REFUSED:
        yield Check(f"helm refuses {each.stem}", lambda each=each: _refused_values(each))
    yield Check("a wrong manifest is refused", _wrong_manifest)
    yield Check("a wrong ScaledObject is refused", _wrong_scaled_object)


def _linted(values: Path) -> str:
    return accepted(HELM, "lint", "--strict", "--quiet", CHART, "--values", values)


def _rendered(values: Path) -> str:
    status, text = ran(HELM, "template", "shop", CHART, "--values", values)
    if status:
        return text
    documents = [each for each in yaml.safe_load_all(text) if each]
    return "\n".join(filter(None, (_wrong(documents), *map(_wrong_keda, documents))))


def _wrong(documents: Sequence[dict[str, object]]) -> str:
    """Return what Kubernetes would refuse; it has no schema of KEDA's."""
    known = [each for each in documents if not _is_of_keda(each)]
    if not any(each["kind"] == "Deployment" for each in known):
        return "expected a Deployment, got none"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "manifests.yaml"
        path.write_text(yaml.safe_dump_all(known))
        return accepted(PROGRAMS / "kubernetes-validate", "--strict", path)


def _wrong_keda(document: dict[str, object]) -> str:
    if not _is_of_keda(document):
        return ""
    model = getattr(v1alpha1, str(document["kind"]))
    try:
        read = model.model_validate(document).model_dump(
            mode="json", by_alias=True, exclude_unset=True
        )
    except ValueError as error:
        return str(error)
    # The models leave out what they have no field for.
    return "" if read == document else f"expected {read}, got {document}"


def _is_of_keda(document: dict[str, object]) -> bool:
    return str(document["apiVersion"]).startswith("keda.sh/")


def _refused_values(values: Path) -> str:
    reason = values.read_text().partition("\n")[0].removeprefix("# ")
    status, said = ran(HELM, "template", "shop", CHART, "--values", values)
    return "" if status and reason in said else f"expected {reason!r}, got {status}: {said[:2000]}"


def _wrong_manifest() -> str:
    document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "x"},
        "spec": {
            "replicaz": 1,
            "selector": {},
            "template": {"spec": {"containers": [{"name": "x"}]}},
        },
    }
    return "" if "replicaz" in _wrong([document]) else "expected replicaz to be refused"


def _wrong_scaled_object() -> str:
    document: dict[str, object] = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "spec": {"scaleTargetRef": {"name": "x"}, "triggers": [], "maxReplicaCounts": 3},
    }
    said = _wrong_keda(document)
    return "" if "maxReplicaCounts" in said else f"expected maxReplicaCounts to be refused: {said}"


def _units() -> Iterator[Check]:
    yield Check("systemd accepts the units", _units_verified)
    yield Check("systemd refuses a mistake", _wrong_unit)
    for each in UNITS:
        if each.suffix == ".service":
            yield Check(f"{each.name} is confined", lambda each=each: _confined(each))


def _units_verified(more: str = "") -> str:
    """Return what systemd says of the units; it ends with 0 whatever it says."""
    with TemporaryDirectory() as folder:
        program = Path(folder) / "failsoft"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        for each in UNITS:
            text = each.read_text().replace(INSTALLED, str(program))
            # An instance has to be named, and links of templates are not followed.
            (Path(folder) / each.name.replace("@.", "@1.")).write_text(text + more)
        units = [each for each in Path(folder).iterdir() if each.suffix in (".service", ".target")]
        _, said = ran("systemd-analyze", "verify", "--man=no", *units)
    ours = [line for line in said.splitlines() if "failsoft" in line]
    return "\n".join(ours)


def _wrong_unit() -> str:
    said = _units_verified("\n[Unit]\nAftr=network.target\n")
    return "" if "Aftr" in said else f"expected Aftr to be refused, got {said!r}"


def _confined(unit: Path) -> str:
    options = ("--offline=yes", f"--threshold={MOST_EXPOSED}", "--no-pager")
    with TemporaryDirectory() as folder:
        copy = shutil.copy(unit, Path(folder) / unit.name.replace("@.", "@1."))
        return accepted("systemd-analyze", "security", *options, copy)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> int:
    """Run every check; return the exit status."""
    every = list(checks())
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda each: each.run(), every))
    for check, wrong in zip(every, found, strict=True):
        say(f"{'FAILED' if wrong else 'ok    '} {check.name}")
        if wrong:
            say("       " + wrong.strip().replace("\n", "\n       "))
    failed = sum(map(bool, found))
    say(f"{len(every) - failed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
