// Typecheck every `ts` fence of the docs and of source comments, and run those marked `ts run`.
// A fence becomes one module padded with blank lines, so tsc reports the line of the document itself.
// `ts ignore` skips a fence.
import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const out = join(root, ".cache/docs");
const sources = ["README.md", "docs/**/*.md", "packages/*/README.md", "packages/*/src/**/*.ts"];
const fence =
  /^(?<pad>[ \t]*(?:\* ?)?)```ts(?<info>[^\n]*)\n(?<body>[\s\S]*?)^[ \t]*(?:\* ?)?```/gm;

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

const runnable: string[] = [];
let count = 0;
for (const source of globSync(sources, { cwd: root })) {
  const text = readFileSync(join(root, source), "utf8");
  for (const match of text.matchAll(fence)) {
    const { pad = "", info = "", body = "" } = match.groups ?? {};
    if (info.includes("ignore")) continue;
    const line = text.slice(0, match.index).split("\n").length;
    const code = body.split("\n").map((row) => stripPad(row, pad));
    const file = join(out, `${source.replaceAll("/", "__")}__L${line}.ts`);
    writeFileSync(file, `${"\n".repeat(line)}${code.join("\n")}\nexport {};\n`);
    if (info.includes("run")) runnable.push(file);
    count++;
  }
}
writeFileSync(
  join(out, "tsconfig.json"),
  JSON.stringify({
    extends: "../../tsconfig.base.json",
    compilerOptions: { noEmit: true },
    include: ["*.ts"],
  }),
);

const tsc = spawnSync(join(root, "node_modules/.bin/tsc"), ["-p", out, "--pretty", "false"], {
  cwd: root,
  encoding: "utf8",
});
process.stdout.write(toSourceNames(tsc.stdout));
let failed = tsc.status !== 0;
for (const file of runnable) {
  const run = spawnSync(process.execPath, ["--conditions=@millrace/source", file], {
    cwd: root,
    encoding: "utf8",
    timeout: 30_000,
  });
  if (run.status === 0) continue;
  failed = true;
  console.error(toSourceNames(run.stderr));
}
console.log(`docs: ${count} fences checked, ${runnable.length} run${failed ? ", FAILED" : ""}`);
process.exitCode = failed ? 1 : 0;

function stripPad(row: string, pad: string): string {
  return row.startsWith(pad) ? row.slice(pad.length) : row.replace(/^[ \t]*\*? ?/, "");
}

function toSourceNames(report: string): string {
  return report.replaceAll(/\S*?\.cache\/docs\/(\S+?)__L\d+\.ts/g, (_, name: string) =>
    name.replaceAll("__", "/"),
  );
}
