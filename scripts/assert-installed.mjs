// JavaScript that any Node.js runs: it tells what to do before an older one meets TypeScript.
import { existsSync } from "node:fs";

const [major, minor] = process.versions.node.split(".").map(Number);
const isInstalled = existsSync(new URL("../node_modules/@millrace/core", import.meta.url));
if (!isInstalled || major < 22 || (major === 22 && minor < 19)) {
  console.error(
    isInstalled
      ? `Node.js ${process.version} is too old to run TypeScript. "npm install" brings one that does: start this with npm, or install Node.js 22.19.`
      : 'Run "npm install" first: it brings Node.js 24, PostgreSQL and the packages.',
  );
  process.exit(1);
}
