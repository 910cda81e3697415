import { defineConfig } from "vite";

import { licenses } from "./licenses.js";

const { page, workers } = licenses();

export default defineConfig({
  base: "/graphiql/",
  plugins: page,
  worker: { plugins: workers },
  build: {
    outDir: "../app/web/graphiql",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: "es2022",
    // Monaco is one chunk of 2.8 MB.
    chunkSizeWarningLimit: 3000,
    // framer-motion and others carry "use client", which says nothing to a bundle for browsers.
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
});
