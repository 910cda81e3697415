"""The GraphQL face of Tickgraph: types, resolvers, loaders and the executor."""
