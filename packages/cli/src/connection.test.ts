import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { findConnection } from './connection.ts';
import { scriptIo } from './testing/script-io.ts';

const home = mkdtempSync(join(tmpdir(), 'strongroom-connection-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** What a command in a pod would call, and as whom. */
async function found(env: Readonly<Record<string, string>>, mounted: string) {
  const { url, token, tokenFrom } = await findConnection(scriptIo({ env: { HOME: home, ...env }, cwd: home }), mounted);
  return [url, typeof token === 'function' ? await token() : token, tokenFrom];
}

it('a pod’s token goes to the server that is named, is read anew, and to no other', async () => {
  const [mounted, other] = [join(home, 'mounted'), join(home, 'other')];
  const server = { STRONGROOM_URL: 'https://strongroom.example.org' };
  expect(await found(server, mounted)).toEqual([server.STRONGROOM_URL, undefined, 'nowhere']);
  writeFileSync(mounted, 'first\n');
  expect(await found(server, mounted)).toEqual([server.STRONGROOM_URL, 'first', 'the pod’s token']);
  const { token } = await findConnection(scriptIo({ env: { HOME: home, ...server }, cwd: home }), mounted);
  writeFileSync(mounted, 'renewed');
  expect(typeof token === 'function' ? await token() : token).toBe('renewed');
  // Without a word of where, it would go to whatever listens on this machine.
  expect((await found({}, mounted)).slice(1)).toEqual([undefined, 'nowhere']);
  writeFileSync(other, 'named');
  expect(await found({ ...server, STRONGROOM_TOKEN_FILE: other }, mounted)).toEqual([
    server.STRONGROOM_URL,
    'named',
    'STRONGROOM_TOKEN_FILE',
  ]);
  expect(await found({ ...server, STRONGROOM_TOKEN: 'given' }, mounted)).toEqual([
    server.STRONGROOM_URL,
    'given',
    'STRONGROOM_TOKEN',
  ]);
});
