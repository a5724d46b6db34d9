import { isPathSegment, StrongroomError } from '@strongroom/contract/core';
import type { VaultCall } from './client.ts';

/** Folders inside one another. Deeper ones are a mistake, or a trap. */
const maxDepth = 32;
/** Folders that are listed for one page: a page may be short, also empty, and not be the last. */
const maxFoldersOfPage = 50;
const keptMilliseconds = 60_000;
const maxKeptNames = 200_000;

export interface KeyPage {
  readonly keys: readonly string[];
  readonly nextCursor: string | null;
}

/** Names in a folder, sorted by code unit; those of folders end in `/`. */
type ListFolder = (folder: string, call: VaultCall) => Promise<readonly string[]>;

/**
 * Goes through folders of any depth in the order of the full names, a page at a time. A cursor is the last name that was
 * passed: a key, or a folder that comes next (with a final `/`). So it goes on in the right place at any instance,
 * whatever has come or gone.
 *
 * Vault lists a folder whole. What was listed for a page is kept for a minute, for the pages after it alone, so that a
 * large folder isn't listed once for each of its pages.
 */
export class FolderWalk {
  readonly #list: ListFolder;
  readonly #kept = new Map<string, { readonly names: readonly string[]; readonly at: number }>();

  constructor(list: ListFolder) {
    this.#list = list;
  }

  /** @throws StrongroomError `cursor_invalid`; `backend_limit` for folders that are too deep */
  async page(cursor: string | undefined, limit: number, call: VaultCall): Promise<KeyPage> {
    if (cursor !== undefined && !isCursor(cursor)) throw new StrongroomError('cursor_invalid');
    const isFirst = cursor === undefined;
    const page: Page = { keys: [], foldersLeft: maxFoldersOfPage, nextCursor: null };
    await this.#walk('', cursor ?? '', isFirst, { page, limit, call });
    return { keys: page.keys, nextCursor: page.nextCursor };
  }

  /**
   * @param after names up to it were passed before; `''`: none
   * @returns whether there is room for more
   */
  async #walk(folder: string, after: string, isFresh: boolean, walk: Walk): Promise<boolean> {
    const { page, limit, call } = walk;
    if (folder.split('/').length > maxDepth)
      throw new StrongroomError('backend_limit', { detail: `Folders in Vault are nested deeper than ${maxDepth}.` });
    if (page.foldersLeft === 0) {
      page.nextCursor = folder;
      return false;
    }
    page.foldersLeft -= 1;
    for (const name of await this.#names(folder, isFresh, call)) {
      const full = `${folder}${name}`;
      const isFolder = name.endsWith('/');
      // A folder on the way to the position has been begun.
      const isOnTheWay = isFolder && after.startsWith(full);
      if (full <= after && !isOnTheWay) continue;
      if (page.keys.length === limit) {
        page.nextCursor = page.keys.at(-1) ?? null;
        return false;
      }
      if (!isFolder) page.keys.push(full);
      else if (!(await this.#walk(full, isOnTheWay ? after : '', isFresh || !isOnTheWay, walk))) return false;
    }
    return true;
  }

  async #names(folder: string, isFresh: boolean, call: VaultCall): Promise<readonly string[]> {
    const kept = isFresh ? undefined : this.#kept.get(folder);
    if (kept !== undefined && performance.now() - kept.at < keptMilliseconds) return kept.names;
    // A name that no reference can hold can't be chosen either.
    const names = (await this.#list(folder.replace(/\/$/, ''), call)).filter((name) =>
      isPathSegment(name.endsWith('/') ? name.slice(0, -1) : name),
    );
    this.#keep(folder, names);
    return names;
  }

  #keep(folder: string, names: readonly string[]): void {
    this.#kept.delete(folder);
    this.#kept.set(folder, { names, at: performance.now() });
    let total = this.#kept.values().reduce((sum, kept) => sum + kept.names.length + 1, 0);
    for (const [oldest, kept] of this.#kept) {
      if (total <= maxKeptNames || oldest === folder) break;
      this.#kept.delete(oldest);
      total -= kept.names.length + 1;
    }
  }
}

interface Page {
  readonly keys: string[];
  foldersLeft: number;
  nextCursor: string | null;
}

interface Walk {
  readonly page: Page;
  readonly limit: number;
  readonly call: VaultCall;
}

function isCursor(text: string): boolean {
  const path = text.endsWith('/') ? text.slice(0, -1) : text;
  return text.length <= 4096 && path.split('/').every(isPathSegment);
}
