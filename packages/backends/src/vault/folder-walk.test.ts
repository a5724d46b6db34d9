import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FolderWalk } from './folder-walk.ts';
import { byCodeUnit } from './kv.ts';

const call = { signal: new AbortController().signal, hasLoggedInAgain: false };

/** Lists folders as Vault does: names of secrets, and of folders with a final `/`. */
function vaultOf(keys: ReadonlySet<string>) {
  let lists = 0;
  const list = (folder: string): Promise<string[]> => {
    lists += 1;
    const prefix = folder === '' ? '' : `${folder}/`;
    const names = [...keys]
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length))
      .map((rest) => (rest.includes('/') ? rest.slice(0, rest.indexOf('/') + 1) : rest));
    return Promise.resolve([...new Set(names)].toSorted(byCodeUnit));
  };
  return { list, count: () => lists };
}

async function allPages(walk: FolderWalk, limit: number): Promise<string[][]> {
  const pages: string[][] = [];
  let cursor: string | undefined;
  do {
    const { keys, nextCursor } = await walk.page(cursor, limit, call);
    pages.push([...keys]);
    cursor = nextCursor ?? undefined;
  } while (cursor !== undefined && pages.length < 1000);
  return pages;
}

const name = fc.constantFrom('a', 'a-b', 'a.b', 'b', 'B', 'ä', 'a b', '0');
const key = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));

describe('a walk through folders', () => {
  it('finds every key once, in order, whatever the size of the pages and whoever goes on', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(key, { maxLength: 60 }), fc.integer({ min: 1, max: 20 }), async (keys, limit) => {
        const { list } = vaultOf(new Set(keys));
        const pages = await allPages(new FolderWalk(list), limit);
        expect(pages.flat()).toEqual(keys.toSorted(byCodeUnit));
        expect(pages.every((page) => page.length <= limit)).toBe(true);
        let cursor: string | undefined;
        const found: string[] = [];
        do {
          const page = await new FolderWalk(list).page(cursor, limit, call);
          found.push(...page.keys);
          cursor = page.nextCursor ?? undefined;
        } while (cursor !== undefined);
        expect(found).toEqual(keys.toSorted(byCodeUnit));
      }),
      { numRuns: 60 },
    );
  });

  it('lists a large folder once, not once for each of its pages', async () => {
    const keys = Array.from({ length: 1000 }, (_, index) => `app/${String(index).padStart(4, '0')}`);
    const { list, count } = vaultOf(new Set(keys));
    expect((await allPages(new FolderWalk(list), 50)).flat()).toEqual(keys);
    expect(count()).toBe(2);
  });

  it('begins anew with what is there now', async () => {
    const keys = new Set(['a', 'b']);
    const walk = new FolderWalk(vaultOf(keys).list);
    await allPages(walk, 1);
    keys.add('c');
    keys.delete('a');
    expect((await allPages(walk, 10)).flat()).toEqual(['b', 'c']);
  });

  it('ends a page after many folders, without a key if need be, and goes on there', async () => {
    const folders = Array.from({ length: 120 }, (_, index) => `f${String(index).padStart(3, '0')}`);
    const { list } = vaultOf(new Set(folders.map((folder) => `${folder}/key`)));
    const pages = await allPages(new FolderWalk(list), 1000);
    expect(pages.length).toBeGreaterThan(2);
    expect(pages.flat()).toHaveLength(120);
  });

  it('refuses folders that are too deep, and leaves out names that no reference can hold', async () => {
    const deep = new FolderWalk(vaultOf(new Set([Array.from({ length: 40 }, () => 'x').join('/')])).list);
    await expect(deep.page(undefined, 10, call)).rejects.toMatchObject({ code: 'backend_limit' });
    const odd = new FolderWalk(() => Promise.resolve(['%41', '..', 'a', String.raw`b\c`, 'c\n']));
    expect((await odd.page(undefined, 10, call)).keys).toEqual(['a']);
  });

  it.each(['..', 'a//b', '/a', 'a\0', '%', 'x'.repeat(5000)])('refuses the cursor %j', async (cursor) => {
    const walk = new FolderWalk(vaultOf(new Set(['a'])).list);
    await expect(walk.page(cursor, 10, call)).rejects.toMatchObject({ code: 'cursor_invalid' });
  });
});
