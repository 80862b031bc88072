"""What a page of an exporter says."""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

Figures = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def figures(text: str) -> Figures:
    """Return every sample of a page, by its name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Figures, name: str, **labels: str) -> float:
    """Return the sum of the samples of a name that have some labels."""
    wanted = set(labels.items())
    return sum(
        value for (its, its_labels), value in found.items() if its == name and wanted <= its_labels
    )


def counters(found: Figures) -> Figures:
    """Return what must never fall."""
    ends = ("_total", "_count", "_sum", "_bucket")
    return {key: value for key, value in found.items() if key[0].endswith(ends)}
