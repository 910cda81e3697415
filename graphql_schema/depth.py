"""Refuse documents that nest too deep, in one walk over each fragment."""

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
)


def depth_rule(max_depth: int) -> type[ValidationRule]:
    """Give a validation rule that allows fields to nest `max_depth` deep.

    Introspection nests deep by nature and is not counted.
    """

    class DepthRule(ValidationRule):
        """Measures each fragment once; circular spreads are another rule's business."""

        def __init__(self, context: ValidationContext) -> None:
            super().__init__(context)
            self._fragments: dict[str, int] = {}

        def enter_operation_definition(self, node: OperationDefinitionNode, *_: object) -> None:
            depth = self._depth(node.selection_set)
            if depth > max_depth:
                self.report_error(
                    GraphQLError(
                        f"the document nests {depth} deep: at most {max_depth} is allowed",
                        nodes=[node],
                        extensions={"code": "DOCUMENT_TOO_DEEP"},
                    )
                )

        def _depth(self, selections: SelectionSetNode | None) -> int:
            if selections is None:
                return 0
            deepest = 0
            for node in selections.selections:
                if isinstance(node, FieldNode):
                    below = (
                        0 if node.name.value.startswith("__") else self._depth(node.selection_set)
                    )
                    deepest = max(deepest, 1 + below)
                elif isinstance(node, InlineFragmentNode):
                    deepest = max(deepest, self._depth(node.selection_set))
                elif isinstance(node, FragmentSpreadNode):
                    deepest = max(deepest, self._fragment(node.name.value))
            return deepest

        def _fragment(self, name: str) -> int:
            if name not in self._fragments:
                self._fragments[name] = 0
                fragment = self.context.get_fragment(name)
                if fragment is not None:
                    self._fragments[name] = self._depth(fragment.selection_set)
            return self._fragments[name]

    return DepthRule
