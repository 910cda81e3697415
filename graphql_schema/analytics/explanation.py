"""How candles came about, and the corporate actions that adjust them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any, Self, cast

import strawberry
from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode, SelectionSetNode

from app.market import candle
from app.market.adjustment import ActionKind, Effect, Unused
from app.market.candle_spec import Adjust, CandleSpec
from app.market.instrument import CandleSource
from app.market.interval import Interval
from app.query.adjusted import ActionRange
from app.query.explaining import Explanation
from app.query.market import Subject
from app.query.window import Window
from graphql_schema.candle_arguments import Adjusted, From, To
from graphql_schema.context import Info
from graphql_schema.scalars import Revision

strawberry.enum(CandleSource, description="What an instrument's candles are made of.")
strawberry.enum(ActionKind, name="CorporateActionKind", description="What a company did.")
strawberry.enum(Unused, name="UnusedAction", description="Why an action adjusts nothing.")


@strawberry.type(description="A corporate action, and what earlier prices are multiplied by.")
class CorporateAction:
    """An app.market.adjustment.Effect."""

    ex_date: date = strawberry.field(
        description="The first trading date without it: dates before are adjusted."
    )
    kind: ActionKind = strawberry.field(description="What was done.")
    number: int = strawberry.field(
        description="Tells actions of one kind on one date apart, from 1."
    )
    ratio: Decimal | None = strawberry.field(
        description="New shares for each old one, to 40 digits; of a spin-off, shares of the new"
        " company. Null where there are none."
    )
    amount: Decimal | None = strawberry.field(
        description="Cash for one share, or the value of what was spun off for one. Null for a"
        " split."
    )
    currency: str | None = strawberry.field(
        description="The amount's currency; null: the instrument's."
    )
    source: str = strawberry.field(description="Where it was imported from.")
    revision: Revision = strawberry.field(description="The batch that brought or corrected it.")
    price_factor: Decimal = strawberry.field(
        description="Prices of earlier dates are multiplied by it."
    )
    volume_factor: Decimal = strawberry.field(
        description="Volumes of earlier dates are multiplied by it."
    )
    reference: Decimal | None = strawberry.field(
        description="The unadjusted close that the amount was held against: the last before the ex"
        " date (ALL), or that of the ex date (TOTAL_RETURN)."
    )
    unused: Unused | None = strawberry.field(
        description="Why both factors are 1 in spite of it: its date has no data yet, there is no"
        " earlier close, the amount is not below the price, is in another currency, or is not"
        " known. Null: it is used."
    )

    @classmethod
    def of(cls, effect: Effect) -> Self:
        """Show an effect."""
        action = effect.action
        return cls(
            ex_date=action.ex_date,
            kind=action.kind,
            number=action.number,
            ratio=action.ratio,
            amount=action.amount,
            currency=action.currency,
            source=action.source,
            revision=Revision(action.revision),
            price_factor=effect.price_factor,
            volume_factor=effect.volume_factor,
            reference=effect.reference,
            unused=effect.unused,
        )


@strawberry.type(description="How a candle came about.")
class CandleExplanation:
    """An app.query.explaining.Explanation."""

    source: CandleSource = strawberry.field(description="What it was made of.")
    bar_interval: Interval | None = strawberry.field(
        description="The interval of the bars that it was made of; null for trades."
    )
    rollups: list[str] = strawberry.field(
        description="The roll-ups that were read for it, from coarse to fine."
    )
    rows: bool = strawberry.field(
        description="Trades or bars themselves were read for it: roll-ups do not go as fine, or do"
        " not follow the newest batches yet."
    )
    open: Decimal = strawberry.field(description="The first price, unadjusted.")
    high: Decimal = strawberry.field(description="The highest price, unadjusted.")
    low: Decimal = strawberry.field(description="The lowest price, unadjusted.")
    close: Decimal = strawberry.field(description="The last price, unadjusted.")
    volume: Decimal = strawberry.field(description="The sum of sizes, unadjusted.")
    revision: Revision = strawberry.field(
        description="The candle's revision when it was explained: a higher one than the candle's"
        " tells that data have come in between."
    )
    price_factor: Decimal | None = strawberry.field(
        description="What its prices were multiplied by; null where its dates have different"
        " factors: then each date was adjusted by its own."
    )
    volume_factor: Decimal | None = strawberry.field(
        description="What its volumes were multiplied by; null as above."
    )
    effects: strawberry.Private[Sequence[Effect]]

    @strawberry.field(
        description="The actions after its first date, of which the factors are made."
    )
    def factors(self) -> list[CorporateAction]:
        """Show the effects."""
        return [CorporateAction.of(each) for each in self.effects]

    @classmethod
    def of(cls, found: Explanation) -> Self:
        """Show an explanation."""
        raw = found.raw
        return cls(
            source=found.source,
            bar_interval=found.bar_interval,
            rollups=found.rollups,
            rows=found.rows,
            open=raw.open,
            high=raw.high,
            low=raw.low,
            close=raw.close,
            volume=raw.volume,
            revision=Revision(raw.revision),
            price_factor=found.price_factor,
            volume_factor=found.volume_factor,
            effects=found.factors,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a candle is an answer to."""

    subject: Subject
    spec: CandleSpec
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCandle(candle.Candle):
    """A candle that can be explained."""

    origin: Origin


def with_origin(
    info: Info, candles: Sequence[candle.Candle], origin: Origin
) -> Sequence[candle.Candle]:
    """Tell candles where they are from, if the document asks for it."""
    field = info._raw_info
    if not any(_asks(node.selection_set, field.fragments) for node in field.field_nodes):
        return candles
    names = [each.name for each in fields(candle.Candle)]
    return [
        KnownCandle(origin=origin, **{name: getattr(each, name) for name in names})
        for each in candles
    ]


def _asks(selections: SelectionSetNode | None, fragments: Mapping[str, Any]) -> bool:
    """Tell whether a selection of candles asks for `explain`; fragments have no cycles."""
    for node in selections.selections if selections else ():
        if isinstance(node, FieldNode):
            if node.name.value == "explain":
                return True
        elif isinstance(node, InlineFragmentNode):
            if _asks(node.selection_set, fragments):
                return True
        elif isinstance(node, FragmentSpreadNode):
            fragment = fragments[node.name.value]
            if _asks(getattr(fragment, "definition", fragment).selection_set, fragments):
                return True
    return False


def explain(root: Any, info: Info) -> CandleExplanation | None:
    """Load the explanation, with those of all other candles of the request.

    Not a coroutine for candles without an origin: events of subscriptions are written at once.
    """
    if not isinstance(root, KnownCandle):
        return None
    return cast(CandleExplanation, _explained(root, info))


async def _explained(known: KnownCandle, info: Info) -> CandleExplanation | None:
    origin = known.origin
    loader = info.context.loaders.explanations(origin.spec, origin.window)
    found = await loader.load((origin.subject, known.time))
    return None if found is None else CandleExplanation.of(found)


@strawberry.type(description="What a company did to its shares.")
class WithActions:
    """Fields of Instrument."""

    subject: strawberry.Private[Subject]

    @strawberry.field(
        description="Corporate actions with ex dates within [from, to), oldest first, and what they"
        " do to earlier prices; unknown ones cannot be told."
    )
    async def corporate_actions(
        self,
        info: Info,
        from_: From = None,
        to: To = None,
        adjust: Adjusted = Adjust.ALL,
    ) -> list[CorporateAction]:
        """Load the actions."""
        wanted = ActionRange(start=from_, end=to, adjust=adjust or Adjust.ALL)
        found = await info.context.loaders.actions(wanted).load(self.subject)
        return [CorporateAction.of(each) for each in found]
