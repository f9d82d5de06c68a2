// Follows the declarations that a package's users see to the packages that these import: each must be a
// dependency, and bring its own types. Otherwise `skipLibCheck: false` fails in a user's project.
import { existsSync, globSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, relative } from "node:path";

interface Manifest {
  name: string;
  types?: string;
  typings?: string;
  exports?: Record<string, string | { types?: string }> | string;
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
}

const root = join(import.meta.dirname, "..");
const complaints: string[] = [];

for (const path of globSync("packages/*/package.json", { cwd: root })) {
  const folder = join(root, dirname(path));
  const manifest = readManifest(folder);
  const pending = Object.values(manifest.exports ?? {}).flatMap((target) =>
    typeof target === "object" && target.types !== undefined ? [join(folder, target.types)] : [],
  );
  const seen = new Set(pending);
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    for (const specifier of importsOf(file)) {
      if (isBuiltin(specifier)) continue;
      if (!specifier.startsWith(".")) {
        checkPackage(manifest, specifier, file);
        continue;
      }
      const next = join(dirname(file), specifier.replace(/\.[jt]s$/, ".d.ts"));
      if (!seen.has(next)) pending.push(next);
      seen.add(next);
    }
  }
}
for (const complaint of complaints) console.error(complaint);
process.exitCode = complaints.length > 0 ? 1 : 0;

function checkPackage({ name, ...manifest }: Manifest, specifier: string, file: string): void {
  const parts = specifier.split("/");
  const wanted = parts.slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
  const known = { ...manifest.dependencies, ...manifest.peerDependencies };
  const place = `${relative(root, file)} imports ${specifier}`;
  if (wanted !== name && !(wanted in known)) complaints.push(`${place}: no dependency of ${name}`);
  const folder = join(root, "node_modules", wanted);
  if (existsSync(folder) && !bringsTypes(folder)) complaints.push(`${place}: it brings no types`);
}

function bringsTypes(folder: string): boolean {
  const { types, typings, exports } = readManifest(folder);
  if (types !== undefined || typings !== undefined) return true;
  return JSON.stringify(exports ?? {}).includes(".d.") || existsSync(join(folder, "index.d.ts"));
}

function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "");
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(([, name = ""]) => name);
}

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
}
