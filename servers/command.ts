/** What `node servers/NAME.ts` does: starts it, prints what one needs to use it, and stops it at Ctrl-C. */
export async function runUntilInterrupted<Server extends { stop(): Promise<void> }>(
  start: () => Promise<Server>,
  describe: (server: Server) => Readonly<Record<string, string>>,
): Promise<void> {
  const server = await start();
  const lines = Object.entries(describe(server));
  const width = Math.max(...lines.map(([name]) => name.length));
  for (const [name, value] of lines) process.stdout.write(`${name.padEnd(width)}  ${value}\n`);
  process.stdout.write('Ctrl-C ends it.\n');
  const forever = setInterval(() => undefined, 2 ** 31 - 1);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
  clearInterval(forever);
  await server.stop();
}
