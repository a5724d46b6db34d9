import { kekFromBytes } from '@strongroom/crypto';
import { openLaunchWorld } from './launch-world.ts';

/**
 * A server that starts runs and is then killed: `node run-kill-child.ts DIRECTORY KEK_HEX COMMAND…`. Prints the ids of a
 * run that is running and of one that is queued behind it.
 */
const [directory = '', kek = '', ...command] = process.argv.slice(2);
const world = await openLaunchWorld({
  place: { directory, kek: kekFromBytes(Buffer.from(kek, 'hex')) },
  runner: { maxConcurrent: 1 },
});
await world.addSecret(world.finance, 'db-password', { value: `cnry-orphan-${kek.slice(0, 16)}` });
const environment = [{ name: 'PGPASSWORD', secret: 'secret://domain/managed/db-password' }];
const long = await world.addJob({
  name: 'long',
  command,
  environment,
  files: [{ name: 'key', secret: 'secret://domain/managed/db-password' }],
});
const short = await world.addJob({ name: 'short', command: ['sh', '-c', 'echo ran once'] });
const running = await world.runs.start(await world.caller('ann'), long);
for (;;) {
  const row = await world.rowOf(running.id);
  if (row.state === 'failed') throw new Error(row.failure_detail ?? 'failed');
  if (row.pid !== null) break;
  await new Promise((resolve) => setTimeout(resolve, 20));
}
const queued = await world.runs.start(await world.caller('ann'), short);
process.stdout.write(`${JSON.stringify({ running: running.id, queued: queued.id })}\n`);
