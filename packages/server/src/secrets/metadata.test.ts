import { expect, test } from 'vitest';
import { secretView, viewHoldsUntil } from './metadata.ts';
import type { ListedSecret } from './queries.ts';

const day = 86_400_000;
const scope = { id: 'dom_a', kind: 'domain', name: 'a' } as const;

function row(times: Pick<ListedSecret, 'expires_at' | 'rotate_every_days' | 'rotated_at'>): ListedSecret {
  return {
    id: 'sec_a',
    key: 'a',
    folded_key: 'a',
    shape: 'text',
    description: '',
    folder: '',
    tags: '[]',
    owner: 'user:ann',
    destinations: null,
    field_names: null,
    current_epoch: 1,
    current_version: 1,
    uses: 0,
    created_at: 0,
    created_by: 'user:ann',
    updated_at: 0,
    updated_by: 'user:ann',
    last_launched_at: null,
    deleted_at: null,
    purge_after: null,
    revision: 1,
    ...times,
  } as ListedSecret;
}

test.each([
  ['neither expires nor rotates', { expires_at: null, rotate_every_days: null, rotated_at: 0 }],
  ['expires', { expires_at: 5 * day, rotate_every_days: null, rotated_at: 0 }],
  ['is due for rotation', { expires_at: null, rotate_every_days: 3, rotated_at: 0 }],
  ['is due before it expires', { expires_at: 5 * day, rotate_every_days: 3, rotated_at: 0 }],
  ['expires before it is due', { expires_at: 2 * day, rotate_every_days: 3, rotated_at: 0 }],
])('what is shown of a secret that %s changes exactly when it is said to', (_name, times) => {
  const shown = (now: number) => secretView(scope, row(times), [], now);
  let changes = 0;
  for (let now = day; ;) {
    const until = viewHoldsUntil(row(times), now);
    expect(until).toBeGreaterThan(now);
    if (until === Infinity) {
      expect(shown(100 * day)).toEqual(shown(now));
      break;
    }
    expect(shown(until - 1)).toEqual(shown(now));
    expect(shown(until)).not.toEqual(shown(now));
    now = until;
    changes += 1;
  }
  expect(changes).toBe((times.expires_at === null ? 0 : 1) + (times.rotate_every_days === null ? 0 : 1));
});
