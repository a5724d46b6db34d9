import { StrongroomError } from '@strongroom/contract/core';
import type { Backend, ListPage } from '../../backend.ts';
import { errorOf, noError, type ConformanceCheck } from '../check.ts';
import { assert, describeError, NotApplicable } from '../failure.ts';
import type { Trial } from '../trial.ts';

/** No place has so many pages of the sizes used here; a cursor that leads back ends here. */
const mostPages = 10_000;
/** Pages read of somebody's real place, which may hold very many keys. */
const pagesOfOthers = 40;

export const listingChecks: readonly ConformanceCheck[] = [
  {
    name: 'list-every-page',
    needs: ['list', 'place'],
    about: 'All that is there is listed, over as many pages as it takes; nothing is lost.',
    async run(trial) {
      const backend = await trial.open();
      const seeded = await trial.seedMany('listed', trial.manyKeys(trial.context.sizes?.manyKeys ?? 30));
      for (const limit of [1000, 7]) {
        const listed = new Set(await allListed(trial, backend, limit));
        const lost = [...seeded.keys()].filter((key) => !listed.has(key)).length;
        assert(lost === 0, `with pages of ${limit}, ${lost} of ${seeded.size} keys are not listed`);
      }
    },
  },
  {
    name: 'list-no-duplicates',
    needs: ['list'],
    about: 'No key is listed twice, on whichever pages.',
    async run(trial) {
      const backend = await trial.open();
      if (trial.context.place !== undefined) await trial.seedMany('once', 12);
      for (const limit of [5, 100]) {
        const listed = await somePages(trial, backend, limit);
        const keys = listed.flatMap((page) => page.items.map((item) => item.key));
        const again = keys.length - new Set(keys).size;
        assert(again === 0, `with pages of ${limit}, ${again} keys are listed again`);
      }
    },
  },
  {
    name: 'list-limit',
    needs: ['list'],
    about: 'A page has at most as many items as were asked for.',
    async run(trial) {
      const backend = await trial.open();
      if (trial.context.place !== undefined) await trial.seedMany('page', 12);
      for (const limit of [1, 3, 10]) {
        const pages = await somePages(trial, backend, limit, 12);
        const most = Math.max(...pages.map((page) => page.items.length));
        assert(most <= limit, `a page has ${most} items where at most ${limit} were asked for`);
      }
    },
  },
  {
    name: 'list-keys-are-read',
    needs: ['list'],
    about: 'What is listed is read under just the key that the list has.',
    async run(trial) {
      const backend = await trial.open();
      if (trial.context.place !== undefined) await trial.seedMany('read', 3);
      const page = await backend.list({ ...trial.options, limit: 10 });
      if (page.items.length === 0) throw new NotApplicable('the first page has no key');
      for (const { key, fieldNames } of page.items) {
        const error = await errorOf(async () => {
          const entry = await backend.get(key, trial.options);
          assert(entry !== null, 'a key that is listed is not there when it is read');
          if (fieldNames === undefined || entry.fieldNames === null) return;
          const isSame = JSON.stringify(fieldNames) === JSON.stringify(entry.fieldNames);
          assert(isSame, 'the list has other fields than the entry');
        });
        const isDenied = error instanceof StrongroomError && error.code === 'backend_denied';
        assert(error === noError || isDenied, describeError(error));
      }
    },
  },
  {
    name: 'list-known-keys',
    needs: ['list', 'existing keys'],
    about: 'What is known to be there is listed.',
    async run(trial) {
      const given = trial.context.existingKeys ?? [];
      const backend = await trial.open();
      const missing = new Set(given);
      let cursor: string | null = null;
      do {
        const page = await backend.list({ ...trial.options, limit: 100, ...(cursor === null ? {} : { cursor }) });
        for (const { key } of page.items) missing.delete(key);
        cursor = page.nextCursor;
      } while (cursor !== null && missing.size > 0);
      assert(missing.size === 0, `${missing.size} of ${given.length} keys that are known to be there are not listed`);
    },
  },
  {
    name: 'list-without-removed',
    needs: ['list', 'place'],
    about: 'What was deleted is not listed.',
    async run(trial) {
      const backend = await trial.open();
      const seeded = [...(await trial.seedMany('gone', 4)).keys()];
      const [gone = '', ...left] = seeded;
      await trial.place.remove(gone);
      const listed = new Set(await allListed(trial, backend, 100));
      assert(!listed.has(gone), 'what was deleted is listed');
      const allLeft = left.every((key) => listed.has(key));
      assert(allLeft, 'what was not deleted is not listed');
    },
  },
  {
    name: 'list-while-it-changes',
    needs: ['list', 'place'],
    about: 'What is there all the time is listed once, though others come and go between the pages.',
    async run(trial) {
      const backend = await trial.open();
      const seeded = [...(await trial.seedMany('steady', 24)).keys()];
      const first = await backend.list({ ...trial.options, limit: 5 });
      const firstKeys = first.items.map((item) => item.key);
      const removed = [...seeded.filter((key) => firstKeys.includes(key)).slice(0, 2), ...seeded.slice(-1)];
      await Promise.all(removed.map((key) => trial.place.remove(key)));
      await trial.seed(trial.key('a-newcomer'));
      const rest = first.nextCursor === null ? [] : await pagesFrom(trial, backend, 5, first.nextCursor, mostPages);
      const keys = [...firstKeys, ...rest.flatMap((page) => page.items.map((item) => item.key))];
      const steady = seeded.filter((key) => !removed.includes(key));
      const lost = steady.filter((key) => !keys.includes(key)).length;
      assert(lost === 0, `${lost} of ${steady.length} keys that were there all the time are not listed`);
      const twice = steady.filter((key) => keys.indexOf(key) !== keys.lastIndexOf(key)).length;
      assert(twice === 0, `${twice} keys are listed twice`);
    },
  },
  {
    name: 'list-cursor-of-another-instance',
    needs: ['list', 'place'],
    about: 'A cursor goes on where its page ended, also at another instance, and as often as it is used.',
    async run(trial) {
      const [one, other] = [await trial.open(), await trial.open()];
      await trial.seedMany('cursor', 12);
      const { nextCursor } = await one.list({ ...trial.options, limit: 4 });
      assert(nextCursor !== null, 'the first page of four says that it is the last of twelve');
      const options = { ...trial.options, limit: 4, cursor: nextCursor };
      const pages = [await one.list(options), await other.list(options), await one.list(options)];
      const keys = new Set(pages.map((page) => JSON.stringify(page.items.map((item) => item.key))));
      assert(keys.size === 1, 'the same cursor leads to different pages');
    },
  },
  {
    name: 'list-cursor-malformed',
    needs: ['list'],
    about: 'A cursor that it never gave is a page or a typed error, and nothing else.',
    async run(trial) {
      const backend = await trial.open();
      for (const cursor of ['-', '../..', 'x'.repeat(5000), '{"a":1}', '\0', 'é', '%', '\ud800']) {
        const error = await errorOf(() => backend.list({ ...trial.options, limit: 3, cursor }));
        assert(error === noError || error instanceof StrongroomError, describeError(error));
      }
    },
  },
];

/** Every key that is listed, in the order of the pages. */
export async function allListed(trial: Trial, backend: Backend, limit: number): Promise<string[]> {
  const pages = await pagesFrom(trial, backend, limit, null, mostPages);
  return pages.flatMap((page) => page.items.map((item) => item.key));
}

/** All pages of a place of the suite's own; some of a real one. */
function somePages(trial: Trial, backend: Backend, limit: number, most = pagesOfOthers): Promise<ListPage[]> {
  return pagesFrom(trial, backend, limit, null, trial.context.place === undefined ? most : mostPages);
}

async function pagesFrom(
  trial: Trial,
  backend: Backend,
  limit: number,
  from: string | null,
  most: number,
): Promise<ListPage[]> {
  const pages: ListPage[] = [];
  const cursors = new Set<string>();
  let cursor = from;
  do {
    const page = await backend.list({ ...trial.options, limit, ...(cursor === null ? {} : { cursor }) });
    pages.push(page);
    cursor = page.nextCursor;
    if (cursor === null) return pages;
    assert(!cursors.has(cursor), 'a cursor leads back to a page that was there before');
    cursors.add(cursor);
  } while (pages.length < most);
  assert(most !== mostPages, `there are more than ${mostPages} pages`);
  return pages;
}
