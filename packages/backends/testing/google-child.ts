// Reads a secret of the double in a process of its own, whose environment a test chooses, and prints how that ended.
import { startGoogleWorld } from './google-double.ts';

const [value = ''] = process.argv.slice(2);
await using world = await startGoogleWorld();
world.manager.set('db', Buffer.from(value));
const backend = world.open();
const entry = await backend.get('db', { signal: AbortSignal.timeout(60_000) });
const { nextCursor } = await backend.list({ signal: AbortSignal.timeout(60_000), limit: 10 });
const isRight = entry?.value.revealText() === value && nextCursor === null;
await backend.close();
process.stdout.write(isRight ? 'read it' : 'read something else');
