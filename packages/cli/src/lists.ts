import type { Client, CallInput, ItemOf, ListId } from '@strongroom/sdk';
import { type Command, InvalidArgumentError } from 'commander';
import type { Output } from './output/output.ts';

export interface ListOptions {
  readonly limit: number;
  readonly search?: string;
}

const defaultLimit = 200;

export function addLimitOption(command: Command): Command {
  return command.option('--limit <n>', 'how many at most', parseCount, defaultLimit);
}

export function addListOptions(command: Command): Command {
  return addLimitOption(command).option('-q, --search <text>', 'only what matches');
}

export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It is a number from 1.');
  return Number(text);
}

/** At most `limit` items of a list; says so when there are more. */
export async function listUpTo<Id extends ListId>(
  client: Client,
  output: Output,
  id: Id,
  input: CallInput<Id>,
  limit: number,
): Promise<ItemOf<Id>[]> {
  const found: ItemOf<Id>[] = [];
  for await (const item of client.items(id, input)) {
    if (found.length === limit) {
      output.note(`there are more than ${limit}; --limit shows more of them, other options fewer`);
      break;
    }
    found.push(item);
  }
  return found;
}

/** All items of what is read page after page. */
export async function wholeOf<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** At most `limit` items of pages that hold more than items, with the last page that was read; says so when there are more. */
export async function listPagesUpTo<Page extends { readonly items: readonly unknown[]; readonly nextCursor?: string }>(
  output: Output,
  limit: number,
  read: (page: { readonly limit: number; readonly cursor?: string }) => Promise<Page>,
): Promise<{ readonly items: Page['items'][number][]; readonly last: Page }> {
  const items: Page['items'][number][] = [];
  for (let cursor: string | undefined; ;) {
    const page = await read({ limit: pageSize(limit - items.length), ...(cursor === undefined ? {} : { cursor }) });
    items.push(...page.items);
    cursor = page.nextCursor;
    if (cursor !== undefined && items.length <= limit) continue;
    if (items.length > limit)
      output.note(`there are more than ${limit}; --limit shows more of them, other options fewer`);
    return { items: items.slice(0, limit), last: page };
  }
}

/** A page as large as is needed and allowed. */
export function pageSize(limit: number): number {
  return Math.min(limit + 1, 200);
}
