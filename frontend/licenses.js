import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const RULE = "=".repeat(80);
const TEXT_FILE = /^(licen[cs]e|copying|notice|third-?party-?notices)/i;

// These ship no text of their own; the package on the right has the same owner and terms.
const TEXT_FROM = {
  "@graphiql/plugin-doc-explorer": "graphiql",
  "@graphiql/plugin-history": "graphiql",
  "react-compiler-runtime": "react",
  "react-remove-scroll-bar": "react-remove-scroll",
};

/** Make the plugins that emit LICENSES.txt: the terms of every package with code in the bundle. */
export function licenses() {
  const directories = new Set();
  const collect = {
    name: "licenses-collect",
    generateBundle(_, bundle) {
      for (const { moduleIds = [] } of Object.values(bundle)) {
        for (const id of moduleIds) {
          const directory = id.match(/^[^\0].*\/node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0];
          if (directory) directories.add(directory);
        }
      }
    },
  };
  const emit = {
    name: "licenses-emit",
    generateBundle() {
      const sections = [...directories].map(section).sort();
      this.emitFile({ type: "asset", fileName: "LICENSES.txt", source: sections.join("\n") });
    },
  };
  return { page: [collect, emit], workers: () => [collect] };
}

function section(directory) {
  const { name, version, license } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
  const source = TEXT_FROM[name] ? join("node_modules", TEXT_FROM[name]) : directory;
  const texts = readdirSync(source)
    .filter((file) => TEXT_FILE.test(file))
    .sort()
    .map((file) => readFileSync(join(source, file), "utf8").trim());
  if (texts.length === 0) throw new Error(`${name} ${version} ships no licence text: name one in TEXT_FROM`);
  return [RULE, `${name} ${version} (${license})`, RULE, "", ...texts, ""].join("\n");
}
