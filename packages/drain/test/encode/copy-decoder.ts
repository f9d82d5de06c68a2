/** What PostgreSQL reads from one line of COPY text; written apart from the encoder, to check it. */
export function decodeCopyLine(line: string): Array<string | null> {
  if (!line.endsWith("\n")) throw new Error("the line does not end in a line feed");
  const cells: Array<string | null> = [];
  let cell = "";
  let isNull = false;
  const body = line.slice(0, -1);
  for (let at = 0; at <= body.length; at++) {
    const character = body[at];
    if (character === undefined || character === "\t") {
      cells.push(isNull ? null : cell);
      cell = "";
      isNull = false;
    } else if (character === "\\") {
      const escaped = body[++at];
      if (escaped === "N") isNull = true;
      else if (escaped === "n") cell += "\n";
      else if (escaped === "r") cell += "\r";
      else if (escaped === "t") cell += "\t";
      else if (escaped === "\\") cell += "\\";
      else throw new Error(`unknown escape \\${escaped ?? ""}`);
    } else if (character === "\n" || character === "\r") {
      throw new Error("an unescaped line break inside the line");
    } else {
      cell += character;
    }
  }
  return cells;
}

/** What PostgreSQL reads as `text[]`. */
export function decodeArray(text: string): Array<string | null> {
  if (!text.startsWith("{") || !text.endsWith("}")) throw new Error(`no array: ${text}`);
  const elements: Array<string | null> = [];
  let at = 1;
  while (at < text.length - 1) {
    let element = "";
    if (text[at] === '"') {
      for (at++; text[at] !== '"'; at++) {
        if (at >= text.length) throw new Error(`a quote is not closed: ${text}`);
        if (text[at] === "\\") at++;
        element += text[at] ?? "";
      }
      at++;
      elements.push(element);
    } else {
      while (at < text.length - 1 && text[at] !== ",") element += text[at++] ?? "";
      elements.push(element === "NULL" ? null : element);
    }
    if (text[at] === ",") at++;
  }
  return elements;
}
