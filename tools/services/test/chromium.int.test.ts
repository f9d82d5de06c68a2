import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findChromium } from "@millrace/services";
import { expect, test } from "vitest";

test("the Chromium that is found renders a page with a script", { timeout: 120_000 }, async () => {
  const chromium = await findChromium();
  const profile = mkdtempSync(join(tmpdir(), "millrace-chromium-"));
  const page = "data:text/html,<p id=p></p><script>p.textContent=6*7</script>";
  try {
    const { stdout } = spawnSync(
      chromium,
      [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        `--user-data-dir=${profile}`,
        "--dump-dom",
        page,
      ],
      { encoding: "utf8", timeout: 60_000 },
    );

    expect(stdout).toContain('<p id="p">42</p>');
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
});
