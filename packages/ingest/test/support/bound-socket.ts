import { createServer, type Server } from "node:net";

/** A bound socket as a parent holds one, and its file descriptor. */
export async function bindSocket(): Promise<{ holder: Server; port: number; fd: number }> {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
  const address = holder.address();
  const handle: unknown = Reflect.get(holder, "_handle");
  if (typeof address !== "object" || address === null || !(handle instanceof Object)) {
    throw new Error("the socket is not bound");
  }
  return { holder, port: address.port, fd: Number(Reflect.get(handle, "fd")) };
}
