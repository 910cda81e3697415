import "graphiql/setup-workers/vite";
import "./page.css";

import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";

import examples from "./examples.graphql?raw";

// The page is the browser's view of the endpoint itself, wherever the server mounts it.
const { origin, pathname } = window.location;

const fetcher = createGraphiQLFetcher({
  url: pathname,
  subscriptionUrl: origin.replace(/^http/, "ws") + pathname,
  headers: { accept: "application/graphql-response+json, application/json" },
  enableIncrementalDelivery: false,
});

createRoot(document.getElementById("page")).render(
  <GraphiQL fetcher={fetcher} defaultQuery={examples}>
    <GraphiQL.Logo>Tickgraph</GraphiQL.Logo>
  </GraphiQL>,
);
