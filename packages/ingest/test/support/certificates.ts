import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Certificate {
  cert: string;
  key: string;
}

/** A certificate for 127.0.0.1 that vouches for itself. */
export function selfSigned(): Certificate {
  const folder = mkdtempSync(join(tmpdir(), "millrace-certificate-"));
  try {
    const key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -keyout key.pem";
    const subject = "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1";
    const command = `req -x509 -nodes -days 2 ${key} ${subject} -out cert.pem`;
    execFileSync("openssl", command.split(" "), { cwd: folder, stdio: "pipe" });
    const read = (name: string) => readFileSync(join(folder, name), "utf8");
    return { cert: read("cert.pem"), key: read("key.pem") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
