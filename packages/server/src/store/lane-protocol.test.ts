import { expect, test } from 'vitest';
import type { EncodedEvent } from '../audit/record.ts';
import { type LaneRequest, packRequests, unpackRequests } from './lane-protocol.ts';

const event = (name: string): EncodedEvent => [`,"principal":"${name}"`, name, 'launch.resolve', 'allowed', null];
const request = (changes: Partial<LaneRequest>): LaneRequest => ({
  name: 'test.command',
  args: { id: 'one' },
  audit: [],
  expectAuthorisationRevision: undefined,
  idempotency: undefined,
  ...changes,
});

test('requests come out of the list as they went in, whatever their arguments are', () => {
  const key = { subject: 's', route: 'r', key: 'k', bodyHmac: Uint8Array.of(1) };
  const requests = [
    request({ args: ['a', null, 7, [1]], audit: [event('ann'), event('bob')], expectAuthorisationRevision: 0 }),
    request({ args: undefined }),
    request({ args: [], audit: [event('eve')] }),
    request({ args: null, idempotency: key }),
    request({ args: [[], undefined] }),
    request({ args: 'text', expectAuthorisationRevision: 3 }),
    request({}),
  ];
  expect(unpackRequests(structuredClone(packRequests(requests)))).toEqual(requests);
});
