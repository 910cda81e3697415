"""Flatten selection sets as the specification's CollectFields does: fragments, directives."""

from collections.abc import Mapping
from dataclasses import dataclass

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    Node,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    Visitor,
    visit,
)


class Unsupported(Exception):
    """The fast path cannot express this; the ordinary one answers."""


Grouped = dict[str, list[FieldNode]]


@dataclass(frozen=True, slots=True)
class Selections:
    """One document's fragments, and the variables that switch parts of it on and off."""

    fragments: Mapping[str, FragmentDefinitionNode]
    flags: Mapping[str, bool | None]

    def of(self, nodes: list[FieldNode], types: frozenset[str]) -> Grouped:
        """Give the fields under some merged nodes by response key, in order.

        `types` are the names under which a fragment applies to the object.
        """
        grouped: Grouped = {}
        for node in nodes:
            self.add(node.selection_set, types, grouped, set())
        return grouped

    def add(
        self,
        selections: SelectionSetNode | None,
        types: frozenset[str],
        grouped: Grouped,
        visited: set[str],
    ) -> None:
        """Collect one selection set into `grouped`; each fragment once."""
        for node in selections.selections if selections else ():
            if not self._wanted(node):
                continue
            if isinstance(node, FieldNode):
                key = node.alias.value if node.alias else node.name.value
                grouped.setdefault(key, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                if node.type_condition is None or node.type_condition.name.value in types:
                    self.add(node.selection_set, types, grouped, visited)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in visited:
                visited.add(node.name.value)
                fragment = self.fragments[node.name.value]
                if fragment.type_condition.name.value in types:
                    self.add(fragment.selection_set, types, grouped, visited)

    def _wanted(self, node: SelectionNode) -> bool:
        for directive in node.directives or ():
            name = directive.name.value
            if name not in {"skip", "include"}:
                raise Unsupported(f"@{name}")
            if self._condition(directive) == (name == "skip"):
                return False
        return True

    def _condition(self, directive: DirectiveNode) -> bool:
        value = _condition_of(directive)
        if isinstance(value, VariableNode):
            return bool(self.flags[value.name.value])
        assert isinstance(value, BooleanValueNode), "validation lets only Booleans through"
        return value.value


def _condition_of(directive: DirectiveNode) -> ValueNode:
    (argument,) = directive.arguments or ()
    return argument.value


def switches(document: DocumentNode) -> frozenset[str]:
    """Name the variables that @skip and @include look at."""
    found: set[str] = set()

    class Finder(Visitor):
        def enter_directive(self, node: DirectiveNode, *_: Node) -> None:
            if node.name.value in {"skip", "include"}:
                value = _condition_of(node)
                if isinstance(value, VariableNode):
                    found.add(value.name.value)

    visit(document, Finder())
    return frozenset(found)
