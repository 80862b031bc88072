"""The engine kafka: one topic a queue, one record an offer.

Job modules import from here what leads records of others' topics into jobs, and out of steps:
`consumes` (with `Record` and `published_id`) and `produce`.
"""

from failsoft.engines.kafka.consuming.declaration import consumes
from failsoft.engines.kafka.consuming.record import Record, published_id
from failsoft.engines.kafka.publishing.produce import produce

__all__ = ["Record", "consumes", "produce", "published_id"]
