// PostGraphile 5 over the public schema: PORT and DATABASE_URL in the environment.
import { createServer } from "node:http";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { jsonPgSmartTags } from "postgraphile/utils";
import { PostGraphileConnectionFilterPreset } from "postgraphile-plugin-connection-filter";

// Hypertables can have foreign keys, but ours have none: tell of the relation here.
const relations = jsonPgSmartTags({
  version: 1,
  config: {
    class: {
      bar: { tags: { foreignKey: "(instrument_id) references instrument (instrument_id)" } },
    },
  },
});

const preset = {
  extends: [PostGraphileAmberPreset, PostGraphileConnectionFilterPreset],
  plugins: [relations],
  pgServices: [
    makePgService({
      connectionString: process.env.DATABASE_URL,
      schemas: ["public"],
      poolConfig: { max: 8 },
    }),
  ],
  schema: {
    // Lists, which cost less than connections.
    defaultBehavior: "+list +resource:list +manyRelation:list +query:resource:list",
  },
  grafserv: { watch: false, graphiql: false },
  grafast: { explain: false },
};

const server = createServer();
await postgraphile(preset).createServ(grafserv).addTo(server);
server.listen(Number(process.env.PORT), "127.0.0.1");
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => process.exit(0));
}
