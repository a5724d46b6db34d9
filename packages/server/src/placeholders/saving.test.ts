import { StrongroomError } from '@strongroom/contract';
import { describe, expect, it } from 'vitest';
import type { Caller } from '../access/types.ts';
import type { ConfigurationRow } from '../surfaces/rows.ts';
import { rewriteEach } from './saving.ts';
import type { Selected, Selection } from './selection.ts';

describe('rewriting on a server that can not go on', () => {
  const selected = ['a', 'b', 'c'].map((name) => ({
    row: { surface: 'spark-job', name, revision: 1 } as ConfigurationRow,
    asked: undefined,
  }));
  const access = { decided: <Answer>(caller: Caller, work: (current: Caller) => Promise<Answer>) => work(caller) };
  const cursorAfter = ({ row }: Selected) => `after ${row.name}`;
  const rewrite = (selection: Selection, failing: string, outcome: 'changed' | 'unchanged', error: Error) =>
    rewriteEach({ access }, {} as Caller, selection, async (_caller, { row }) => {
      if (row.name === failing) throw error;
      return { surface: row.surface, configuration: row.name, revision: 2, outcome, fields: [] };
    });
  const full = new StrongroomError('storage_full');

  it('ends the page before what could not be done, and tells what was', async () => {
    const page = { items: selected, nextCursor: 'after c', cursorAfter };
    for (const error of [full, new StrongroomError('unauthenticated'), new TypeError('a fault')]) {
      const { items, ...rest } = await rewrite(page, 'c', 'changed', error);
      expect(items.map(({ configuration }) => configuration)).toEqual(['a', 'b']);
      expect(rest).toEqual({ configurations: 2, nextCursor: 'after b' });
    }
    expect(await rewrite(page, 'none', 'changed', full)).toMatchObject({ configurations: 3, nextCursor: 'after c' });
  });

  it('or that has found enough for one answer', async () => {
    const many = Array.from({ length: 1500 }, () => ({}));
    const answer = await rewriteEach(
      { access },
      {} as Caller,
      { items: selected, nextCursor: 'after c', cursorAfter },
      async (_caller, { row }) => {
        return {
          surface: row.surface,
          configuration: row.name,
          revision: 1,
          outcome: 'unchanged',
          fields: [...many],
        };
      },
    );
    expect(answer).toMatchObject({ configurations: 2, nextCursor: 'after b' });
  });

  it('says so for all where nothing was done', async () => {
    await expect(rewrite({ items: selected, cursorAfter }, 'a', 'changed', full)).rejects.toBe(full);
    await expect(rewrite({ items: selected, cursorAfter }, 'c', 'unchanged', full)).rejects.toBe(full);
  });

  it('says so of the rest where configurations were named', async () => {
    const { items, ...rest } = await rewrite({ items: selected }, 'b', 'changed', full);
    expect(rest).toEqual({ configurations: 3 });
    expect(items.map(({ configuration, problem }) => `${configuration} ${problem?.code}`)).toEqual([
      'a undefined',
      'b storage_full',
      'c storage_full',
    ]);
    await expect(rewrite({ items: selected }, 'b', 'changed', new TypeError('a fault'))).rejects.toThrow('a fault');
  });
});
