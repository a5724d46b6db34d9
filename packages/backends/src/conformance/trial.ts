import { randomBytes } from 'node:crypto';
import { SecretValue } from '@strongroom/crypto';
import type { Backend, Content } from '../backend.ts';
import type { ConformanceContext, ConformancePlace, FaultKind } from './context.ts';
import { assert, NotApplicable } from './failure.ts';

const defaultManyKeys = 30;
const mebibyte = 1024 * 1024;
/** Seeds under way at once: gentle to a real backend. */
const seedsAtOnce = 8;

/**
 * What one check works with: instances, keys and entries of its own, and their removal afterwards.
 */
export class Trial {
  readonly context: ConformanceContext;
  readonly signal: AbortSignal;
  /** Of every key made here. */
  readonly name = `conformance-${randomBytes(5).toString('hex')}`;
  readonly #opened: Backend[] = [];
  readonly #keys = new Set<string>();
  readonly #undo: (() => Promise<void>)[] = [];

  constructor(context: ConformanceContext, signal: AbortSignal) {
    this.context = context;
    this.signal = signal;
  }

  /** Options of a call. */
  get options(): { readonly signal: AbortSignal } {
    return { signal: this.signal };
  }

  get place(): ConformancePlace {
    const { place } = this.context;
    if (place === undefined) throw new NotApplicable('nothing may be written');
    return place;
  }

  get abortGraceMs(): number {
    return this.context.sizes?.abortGraceMs ?? 1000;
  }

  async open(): Promise<Backend> {
    const backend = await this.context.open();
    this.#opened.push(backend);
    return backend;
  }

  /** A key of this check's own, in the plainest form: lower-case letters, digits, hyphens. It is removed afterwards. */
  key(word: string): string {
    return this.removedAfterwards(this.named(`$-${word}`));
  }

  /**
   * A key by a pattern in which `$` is this trial's name; the bare ones (`__proto__`) are names without it. It may be one
   * that no place takes, so that it is removed only if it is seeded or said to be written.
   */
  named(pattern: string): string {
    return `${this.context.keyPrefix ?? ''}${pattern.replaceAll('$', this.name)}`;
  }

  removedAfterwards(key: string): string {
    this.#keys.add(key);
    return key;
  }

  /** Unique text of 40 characters that is safe in every syntax. */
  text(): string {
    return `canary${randomBytes(17).toString('hex')}`;
  }

  /** Content in the simplest shape of the place. */
  content(text: string = this.text()): Content {
    const shape = this.context.shapes?.[0] ?? 'text';
    const bytes = shape === 'fields' ? JSON.stringify({ value: text }) : text;
    return { value: SecretValue.fromText(bytes), shape };
  }

  async seed(key: string, content: Content = this.content()): Promise<Content> {
    this.#keys.add(key);
    await this.place.seed(key, content);
    return content;
  }

  /** Entries under keys with the word and a number, with contents of their own. */
  async seedMany(word: string, count: number): Promise<Map<string, Content>> {
    const seeded = new Map<string, Content>();
    for (let start = 0; start < count; start += seedsAtOnce) {
      const some = Array.from({ length: Math.min(seedsAtOnce, count - start) }, (_, index) => start + index);
      await Promise.all(
        some.map(async (number) => {
          const key = this.key(`${word}-${String(number).padStart(4, '0')}`);
          seeded.set(key, await this.seed(key));
        }),
      );
    }
    return seeded;
  }

  /** More than two batches, and never under 12, within what the context allows. */
  manyKeys(batch: number): number {
    const allowed = Math.max(12, this.context.sizes?.manyKeys ?? defaultManyKeys);
    return batch >= allowed ? allowed : Math.max(12, Math.min(allowed, batch * 2 + 1));
  }

  /** Bytes of the largest value that is tried. */
  largestBytes(backend: Backend): number {
    return Math.min(backend.capabilities.limits.valueBytes, this.context.sizes?.valueBytes ?? mebibyte);
  }

  /** Keys that are there: seeded where that is allowed, else some that are known or listed. At most `count`. */
  async knownKeys(backend: Backend, count: number): Promise<string[]> {
    if (this.context.place !== undefined) return [...(await this.seedMany('known', count)).keys()];
    const given = this.context.existingKeys;
    if (given !== undefined && given.length > 0) return given.slice(0, count);
    if (!backend.capabilities.list) throw new NotApplicable('no existing key was given, and the backend cannot list');
    const keys: string[] = [];
    let cursor: string | null = null;
    do {
      const page = await backend.list({ ...this.options, limit: 100, ...(cursor === null ? {} : { cursor }) });
      keys.push(...page.items.map((item) => item.key));
      cursor = page.nextCursor;
    } while (cursor !== null && keys.length < count);
    if (keys.length === 0) throw new NotApplicable('the backend lists no key');
    return keys.slice(0, count);
  }

  /** A key beside a known one, where nothing is. */
  async absentKey(backend: Backend): Promise<string> {
    if (this.context.place !== undefined) return this.key('absent');
    const [known = ''] = await this.knownKeys(backend, 1);
    const folder = known.slice(0, known.lastIndexOf('/') + 1);
    const { keyPrefix = '' } = this.context;
    return `${folder.startsWith(keyPrefix) ? folder : keyPrefix}${this.name}`;
  }

  /** Brings a trouble about until the check ends or the returned function is called. */
  async inject(kind: FaultKind, echo: string = this.text()): Promise<() => Promise<void>> {
    const fault = this.context.faults?.[kind];
    if (fault === undefined) throw new NotApplicable(`the fault ${kind} was not given`);
    const undo = await fault(echo);
    let isOver = false;
    const once = async () => {
      if (isOver) return;
      isOver = true;
      await undo();
    };
    this.#undo.push(once);
    return once;
  }

  /** What has to be done when the check ends, however it ends. */
  afterwards(undo: () => Promise<void>): void {
    this.#undo.push(undo);
  }

  /** Ends the troubles, takes the entries away, closes the instances. */
  async end(): Promise<void> {
    const failures: unknown[] = [];
    const attempt = async (action: () => Promise<void>) => {
      try {
        await action();
      } catch (error) {
        failures.push(error);
      }
    };
    for (const undo of this.#undo.reverse()) await attempt(undo);
    const { place } = this.context;
    if (place !== undefined) for (const key of this.#keys) await attempt(() => place.remove(key));
    for (const backend of this.#opened) await attempt(() => backend.close());
    assert(failures.length === 0, `after the check, ${failures.length} entries or instances could not be taken away`);
  }
}
