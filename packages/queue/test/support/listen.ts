/** Reads a stream of server-sent events until it ends, keeping what came. */
export function listen(response: Response) {
  const state = { text: "", error: undefined as unknown, isOver: false };
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  void (async () => {
    try {
      for (;;) {
        const part = await reader?.read();
        if (!part || part.done) break;
        state.text += decoder.decode(part.value, { stream: true });
      }
    } catch (error) {
      state.error = error;
    }
    state.isOver = true;
  })();
  return {
    state,
    data: () =>
      [...state.text.matchAll(/^data: (.*)$/gm)].map(
        (match) => JSON.parse(match[1] ?? "") as unknown,
      ),
    ids: () => [...state.text.matchAll(/^id: (.*)$/gm)].map((match) => match[1] ?? ""),
    stop: () => reader?.cancel(),
  };
}
