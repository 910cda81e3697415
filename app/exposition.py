"""What the server counts and measures, gathered from its parts for /metrics."""

from app.ingestion.intake import Intake
from app.live.hub import Hub
from app.query.answers import AnswerCache
from app.telemetry.metrics import Counted, Measured, Metrics
from graphql_schema.http import GraphQLView


def metrics_of(view: GraphQLView, intake: Intake, hub: Hub) -> Metrics:
    """Give what is counted and measured; nothing is computed before somebody asks."""
    levels = {"fragments": view.market.fragments, "responses": view.market.responses}
    answers = Counted(
        name="tickgraph_answers",
        words="Requests by how they were answered: cached, fast, fallback, unknown.",
        label="how",
        read=lambda: view.fast.outcomes,
    )
    used = Measured(
        name="tickgraph_cache_used_bytes",
        words="Bytes that remembered answers take.",
        label="level",
        read=lambda: {name: level.memory.used_bytes for name, level in levels.items()},
    )
    looked_up = [_looked_up(*level) for level in levels.items()]
    return Metrics([answers, *looked_up, used, *_written(intake), *_live(hub)])


def _written(intake: Intake) -> list[Counted | Measured]:
    return [
        Counted(
            name="tickgraph_batches",
            words="Deliveries stored, by kind; REPLAYED: known by their idempotency key.",
            label="kind",
            read=intake.tally.batches,
        ),
        Counted(
            name="tickgraph_records",
            words="Records received, by kind and outcome.",
            label=("kind", "outcome"),
            read=intake.tally.records,
        ),
        Counted(
            name="tickgraph_write_seconds",
            words="Seconds that deliveries spent in each stage.",
            label="stage",
            read=intake.tally.seconds,
        ),
        Counted(
            name="tickgraph_writes_refused",
            words="Writes refused before anything was done for them.",
            label="reason",
            read=lambda: {"overloaded": intake.refused},
        ),
        Measured(
            name="tickgraph_writes",
            words="Writes that run, and that wait for a connection.",
            label="state",
            read=intake.calls,
        ),
    ]


def _live(hub: Hub) -> list[Counted | Measured]:
    return [
        Counted(
            name="tickgraph_live",
            words="Steps of the hub, events that were written, and how often they were sent.",
            label="what",
            read=lambda: hub.counts,
        ),
        Measured(
            name="tickgraph_subscriptions",
            words="Open subscriptions, and how many of them are distinct.",
            label="what",
            read=lambda: {"all": hub.members, "distinct": hub.topics},
        ),
    ]


def _looked_up(name: str, level: AnswerCache) -> Counted:
    return Counted(
        name=f"tickgraph_cache_{name}",
        words="Look-ups and departures of a level of remembered answers.",
        label="outcome",
        read=lambda: level.memory.outcomes,
    )
