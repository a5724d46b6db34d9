import { listPagesUpTo } from './lists.ts';
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
  const { items, last } = await listPagesUpTo(output, limit, read);
  return { items, sources: last.sources };
}

/** Sources whose keys may be older than they seem. */
export function noteSourcesDown(output: Output, sources: readonly Source[]): void {
  for (const { source, health } of sources)
    if (health.error !== undefined) output.note(`${visible(source)} is down: ${visible(health.error.message)}`);
}
