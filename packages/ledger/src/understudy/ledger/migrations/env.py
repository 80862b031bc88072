"""Alembic's entry: run the migrations on the connection that `schema.upgrade` hands over."""

from alembic import context

from understudy.ledger.schema import VERSION_TABLE
from understudy.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
