import { pageSize } from './lists.ts';
import type { Output } from './output/output.ts';
import { visible } from './output/text.ts';

interface Source {
  readonly source: string;
  readonly health: { readonly error?: { readonly message: string } };
}

interface SourcesPage<Item, From extends Source> {
  readonly items: readonly Item[];
  readonly nextCursor?: string;
  readonly sources: readonly From[];
}

/** At most `limit` items of a list over several sources, with the sources; says so when there are more. */
export async function listSourcesUpTo<Item, From extends Source>(
  output: Output,
  limit: number,
  read: (page: { readonly limit: number; readonly cursor?: string }) => Promise<SourcesPage<Item, From>>,
): Promise<{ readonly items: Item[]; readonly sources: readonly From[] }> {
  const items: Item[] = [];
  let sources: readonly From[] = [];
  for (let cursor: string | undefined; items.length <= limit;) {
    const page = await read({ limit: pageSize(limit - items.length), ...(cursor === undefined ? {} : { cursor }) });
    items.push(...page.items);
    ({ sources } = page);
    if (page.nextCursor === undefined) break;
    cursor = page.nextCursor;
  }
  if (items.length > limit)
    output.note(`there are more than ${limit}; --limit shows more of them, other options fewer`);
  return { items: items.slice(0, limit), sources };
}

/** Sources whose keys may be older than they seem. */
export function noteSourcesDown(output: Output, sources: readonly Source[]): void {
  for (const { source, health } of sources)
    if (health.error !== undefined) output.note(`${visible(source)} is down: ${visible(health.error.message)}`);
}
