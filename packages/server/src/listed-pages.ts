import { StrongroomError } from '@strongroom/contract';
import type { ListPage } from '@strongroom/backends';

/** Where a page begins; nothing: the first one. */
export type PageStart = { readonly cursor?: string };

/**
 * Pages of a list one after another, for as long as they are asked for. Every now and then a cursor is kept, and one that comes
 * back ends the list (the cycle detection of R. P. Brent, "An improved Monte Carlo factorization algorithm", 1980): a list that
 * goes in circles, however many pages round, would never end. A list that goes on and on is ended by its signal.
 *
 * @throws StrongroomError `backend_malformed` for a list that goes in circles; what `list` throws
 */
export async function* listedPages<Page extends Pick<ListPage, 'nextCursor'>>(
  list: (start: PageStart) => Promise<Page>,
): AsyncGenerator<Page> {
  let start: PageStart = {};
  let kept: string | null = null;
  let keptUntil = 1;
  for (let pages = 1; ; pages += 1) {
    const page = await list(start);
    const { nextCursor } = page;
    if (nextCursor !== null && nextCursor === kept)
      throw new StrongroomError('backend_malformed', {
        detail: 'The list of the backend goes in circles: its next page is one that was there before.',
      });
    yield page;
    if (nextCursor === null) return;
    if (pages === keptUntil) {
      kept = nextCursor;
      keptUntil *= 2;
    }
    start = { cursor: nextCursor };
  }
}
