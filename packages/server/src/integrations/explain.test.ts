import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestUser } from '../../testing/app.ts';
import { type IntegrationWorld, openIntegrationWorld } from '../../testing/integration-world.ts';

interface Explained {
  readonly verdict: string;
  readonly links: readonly { readonly link: string; readonly outcome: string; readonly because: readonly string[] }[];
}

let world: IntegrationWorld;
let source: string;
beforeAll(async () => {
  world = await openIntegrationWorld();
  source = await world.add();
});
afterAll(() => world.close());

const key = (): string => [...world.vault.secrets.keys()].find((name) => name.startsWith('app/'))?.slice(4) ?? '';

async function explain(who: TestUser, name: string, principal?: string): Promise<readonly unknown[]> {
  const reference = `secret://domain/${source}/${name}`;
  const body = { action: 'use', domain: 'finance', reference, ...(principal === undefined ? {} : { principal }) };
  const { verdict, links } = await world.test.call<Explained>('POST', '/v1/explain', { token: who.token, body });
  const last = links.at(-1);
  return [verdict, last?.link, last?.outcome, ...(last?.because ?? [])];
}

it('asks the backend whether it holds the key, without its value, on record before', async () => {
  const { member, vault, test } = world;
  const before = vault.requests.length;
  expect(await explain(member, key())).toEqual(['allow', 'backend', 'allow', 'key-found']);
  expect(await explain(member, 'none')).toEqual(['deny', 'backend', 'deny', 'key-missing']);
  expect(vault.requests.slice(before).filter((request) => request.includes('/data/'))).toEqual([]);
  const { items } = await test.call<{ items: { because: string[]; reference?: string }[] }>(
    'GET',
    '/v1/audit?action=explain&limit=2',
  );
  const reference = `secret://domain/${source}/none`;
  expect(items).toMatchObject([
    { because: ['verdict:deny'], reference },
    { because: ['backend'], reference },
  ]);
});

it('says that it is not told where the policy has no such question, and takes no outage for absence', async () => {
  const { member, vault } = world;
  const before = vault.requests.length;
  try {
    vault.mayReadMetadata = false;
    expect(await explain(member, key())).toEqual(['unknown', 'backend', 'unknown', 'not-told']);
    vault.mayReadMetadata = true;
    vault.trouble = 'sealed';
    expect(await explain(member, key())).toEqual(['unknown', 'backend', 'unknown', 'backend_sealed']);
  } finally {
    Object.assign(vault, { trouble: 'none', mayReadMetadata: true });
  }
  expect(vault.requests.slice(before).filter((request) => request.includes('/data/'))).toEqual([]);
});

it('asks no backend after a link that denies, nor for who has no USE', async () => {
  const { viewer, maintainer, vault } = world;
  const before = vault.requests.length;
  expect((await explain(viewer, key()))[0]).toBe('deny');
  expect((await explain(maintainer, key(), 'user:viewer'))[0]).toBe('deny');
  expect(vault.requests).toHaveLength(before);
});
