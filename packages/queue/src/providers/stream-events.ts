/** A body as text, up to a size. */
export async function readBounded(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw new Error(`the answer is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** The data of server-sent events or the lines of NDJSON, wherever the chunks were cut. */
export async function* streamEvents(
  body: AsyncIterable<Uint8Array>,
  framing: "sse" | "ndjson",
  maxBytes: number,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw new Error(`the answer is larger than ${maxBytes} bytes`);
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (framing === "ndjson") {
        if (line !== "") yield line;
      } else if (line.startsWith("data:")) {
        data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
      } else if (line === "" && data.length > 0) {
        const event = data.join("\n");
        data = [];
        // OpenAI's chat format ends its stream with a word that is not JSON; proxies keep streams alive
        // with nothing.
        if (event !== "[DONE]" && event !== "") yield event;
      }
    }
  }
  if (framing === "ndjson" && rest.trim() !== "") yield rest;
}
