"""Lots: what was bought when for how much, and what is gained when it is sold.

The cost of a lot has the sign of its quantity: a short lot has cost what was got for it, negative.
"""

from collections import deque
from dataclasses import dataclass
from decimal import Decimal

from app.query.portfolio.money import ZERO, share
from app.query.portfolio.terms import CostMethod


@dataclass(slots=True)
class Lot:
    """Units that were got together, and what is left of what was paid for them."""

    quantity: Decimal
    cost: Decimal


class Lots:
    """The lots of one instrument, all long or all short; call within `exactly`."""

    def __init__(self, method: CostMethod) -> None:
        self._method = method
        self._lots: deque[Lot] = deque()
        self.quantity = ZERO
        self.cost = ZERO

    def trade(self, quantity: Decimal, paid: Decimal) -> Decimal:
        """Buy or sell (below 0) units for what was `paid`; give the profit that it realises.

        Units of the other sign are closed first; what is left of the trade then opens a lot. Of
        what was paid, fees included, each part of the trade bears its share.
        """
        closed = ZERO
        if (self.quantity > 0) != (quantity > 0):
            closed = min(abs(self.quantity), abs(quantity))
        paid_to_close = share(paid, closed, abs(quantity)) if closed < abs(quantity) else paid
        cost = self._close(closed)
        opened = abs(quantity) - closed
        if opened:
            self._open(opened if quantity > 0 else -opened, paid - paid_to_close)
        self.quantity += quantity
        self.cost += paid - paid_to_close - cost
        return -paid_to_close - cost if closed else ZERO

    def _open(self, quantity: Decimal, cost: Decimal) -> None:
        if self._method is CostMethod.AVERAGE and self._lots:
            self._lots[0].quantity += quantity
            self._lots[0].cost += cost
        else:
            self._lots.append(Lot(quantity, cost))

    def _close(self, units: Decimal) -> Decimal:
        """Take units out, the first ones first; give what they have cost."""
        cost = ZERO
        while units:
            lot = self._lots[0]
            held = abs(lot.quantity)
            if held <= units:
                self._lots.popleft()
                cost += lot.cost
                units -= held
                continue
            taken = share(lot.cost, units, held)
            lot.quantity -= units if lot.quantity > 0 else -units
            lot.cost -= taken
            cost += taken
            units = ZERO
        return cost
