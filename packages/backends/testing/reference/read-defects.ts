import { StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import type { Backend, Entry, GetOptions, KeyVersion } from '../../src/backend.ts';
import { fieldPairs } from '../../src/conformance/content.ts';
import type { Defect } from './defects.ts';

/** What is wrong with `get` and `getMany`. */
export const readDefects: readonly Defect[] = [
  {
    title: 'a trailing newline is trimmed',
    caughtBy: { 'get-whitespace': 'bytes came back' },
    plant: (backend) => readingText(backend, (text) => text.replace(/\s+$/, '')),
  },
  {
    title: 'text is normalised',
    caughtBy: { 'get-unicode': 'bytes came back', 'put-unicode': 'bytes came back' },
    plant: (backend) => readingText(backend, (text) => text.normalize('NFC')),
  },
  {
    title: 'text is read as JSON',
    caughtBy: { 'get-look-alike': 'came back', 'put-look-alike': 'came back' },
    plant: (backend) => readingText(backend, jsonAgain),
  },
  {
    title: 'text is put into quotes',
    caughtBy: {
      'get-text': 'bytes came back',
      'put-text': 'bytes came back',
      'put-whitespace': 'bytes came back',
      'get-largest': 'bytes came back',
      'limit-taken': 'bytes came back',
    },
    plant: (backend) => readingText(backend, (text) => JSON.stringify(text)),
  },
  {
    title: 'bytes are made text',
    caughtBy: { 'get-binary': 'bytes came back', 'put-binary': 'bytes came back' },
    plant: (backend) =>
      reading(backend, (entry) => withBytes(entry, Buffer.from(Buffer.from(entry.value.reveal()).toString('utf8')))),
  },
  {
    title: 'an empty value is absence',
    caughtBy: { 'get-empty': 'nothing is there', 'put-empty': 'nothing is there' },
    plant: (backend) => reading(backend, (entry) => (entry.value.byteLength === 0 ? null : entry)),
  },
  {
    title: 'fields go through an object',
    caughtBy: { 'get-fields': 'other fields', 'put-fields': 'other fields' },
    plant: (backend) =>
      reading(backend, (entry) => {
        if (entry.shape !== 'fields') return entry;
        const copy: Record<string, string> = {};
        for (const [name, value] of fieldPairs(entry.value.reveal()) ?? []) copy[name] = value;
        return { ...withBytes(entry, Buffer.from(JSON.stringify(copy))), fieldNames: Object.keys(copy) };
      }),
  },
  {
    title: 'names of fields in another order than the value',
    caughtBy: { 'get-fields': 'fieldNames are not' },
    plant: (backend) =>
      reading(backend, (entry) => ({
        ...entry,
        fieldNames: entry.fieldNames === null ? null : [...entry.fieldNames].sort(),
      })),
  },
  {
    title: 'the time is in seconds',
    caughtBy: { 'get-entry-consistent': 'updatedAt' },
    plant: (backend) =>
      reading(backend, (entry) => ({ ...entry, updatedAt: Math.floor((entry.updatedAt ?? 0) / 1_000_000) })),
  },
  {
    title: 'a missing key has an empty entry',
    caughtBy: { 'get-absent': 'nobody wrote', 'get-removed': 'still finds it' },
    plant: (backend) => ({
      ...backend,
      get: async (key, options) => (await backend.get(key, options)) ?? emptyEntry(),
    }),
  },
  {
    title: 'what may come back is absence',
    caughtBy: { 'get-soft-deleted': 'get: it did not throw' },
    plant: (backend) => ({
      ...backend,
      get: (key, options) =>
        backend.get(key, options).catch((error: unknown) => {
          if (error instanceof StrongroomError && error.code === 'backend_deleted') return null;
          throw error;
        }),
    }),
  },
  {
    title: 'stale read',
    caughtBy: { 'get-fresh': 'after change', 'get-removed': 'still finds it' },
    plant: (backend) => {
      const kept = new Map<string, Entry | null>();
      return {
        ...backend,
        async get(key, options) {
          const entry = kept.get(key) ?? (await backend.get(key, options));
          kept.set(key, entry);
          return entry;
        },
      };
    },
  },
  {
    title: 'one buffer for all who read',
    caughtBy: { 'get-own-copy': 'TypeError' },
    plant: (backend) => {
      const kept = new Map<string, Entry | null>();
      return {
        ...backend,
        async get(key, options) {
          const entry = await backend.get(key, options);
          const before = kept.get(key);
          if (entry !== null && before?.version === entry.version) return before ?? null;
          kept.set(key, entry);
          return entry;
        },
      };
    },
  },
  {
    title: 'reads at the same time share a variable',
    caughtBy: { 'get-at-once': 'not the answer that it has alone' },
    plant: (backend) => {
      let last = '';
      return {
        ...backend,
        async get(key, options) {
          last = key;
          await Promise.resolve();
          return backend.get(last, options);
        },
      };
    },
  },
  {
    title: 'an entry prints its value',
    caughtBy: { 'entry-prints-nothing': 'the value is printed' },
    plant: (backend) =>
      reading(backend, (entry) => ({ ...entry, raw: Buffer.from(entry.value.reveal()).toString('base64') })),
  },
  {
    title: 'the version never changes',
    caughtBy: { 'version-changes': 'there before', 'put-version': 'not the one that the write returned' },
    plant: (backend) => reading(backend, (entry) => ({ ...entry, version: '1' })),
  },
  {
    title: 'one version for everything',
    caughtBy: { 'version-of-one-key': 'another key changed it' },
    plant: (backend, { store }) =>
      reading(backend, (entry) => ({
        ...entry,
        version: String(store.database.prepare('SELECT max(version) AS version FROM contents').get()?.['version']),
      })),
  },
  {
    title: 'the version that is asked for is ignored',
    caughtBy: {
      'version-older': 'an older version',
      'version-unknown': 'never was',
      'version-malformed': 'no version',
    },
    plant: (backend) => ({ ...backend, get: (key, { signal }) => backend.get(key, { signal }) }),
  },
  {
    title: 'a version that is asked for is read as none',
    caughtBy: { 'version-current': 'by its version' },
    plant: (backend) => ({
      ...backend,
      get: (key, options) => (options.version === undefined ? backend.get(key, options) : Promise.resolve(null)),
    }),
  },
  {
    title: 'the version that is told is one too old',
    caughtBy: {
      'versions-agree': 'not what get reads',
      'versions-fresh': 'not what get reads',
      'versions-bad-name-alone': 'not what get reads',
    },
    plant: (backend) =>
      telling(backend, (version) => ({ version: version === null ? null : String(Number(version) - 1) })),
  },
  {
    title: 'a version is kept',
    caughtBy: { 'versions-fresh': 'not what get reads' },
    plant: (backend) => {
      const kept = new Map<string, string | null>();
      return telling(backend, (version, key) => {
        if (!kept.has(key)) kept.set(key, version);
        return { version: kept.get(key) ?? null };
      });
    },
  },
  {
    title: 'the value comes with the version',
    caughtBy: { 'versions-hold-no-value': 'more than the version' },
    plant: (backend) => telling(backend, (version) => ({ version, value: SecretValue.fromText('') })),
  },
  {
    title: 'every key has a version',
    caughtBy: {
      'versions-agree': 'nobody wrote',
      'versions-fresh': 'deleted still has',
      'versions-soft-deleted': 'not backend_deleted',
      'versions-bad-name-alone': 'name that is none',
    },
    plant: (backend) => ({
      ...backend,
      async versions(keys, options) {
        const answers = await backend.versions?.(keys, options);
        return new Map(keys.map((key) => [key, versionIn(answers?.get(key)) ?? { version: '1' }] as const));
      },
    }),
  },
  {
    title: 'an outage is no version',
    caughtBy: { 'versions-outage': 'it did not throw' },
    plant: (backend) => ({
      ...backend,
      async versions(keys, options) {
        try {
          return (await backend.versions?.(keys, options)) ?? new Map();
        } catch (error) {
          if (error instanceof StrongroomError) return new Map(keys.map((key) => [key, null] as const));
          throw error;
        }
      },
    }),
  },
  {
    title: 'getMany drops a key of a batch',
    caughtBy: { 'get-many-every-key': 'have no answer', 'get-many-agrees': 'no answer' },
    plant: (backend) => answering(backend, (answers) => new Map([...answers].slice(0, -1))),
  },
  {
    title: 'getMany reads the first batch only',
    caughtBy: { 'get-many-every-key': 'nothing is there' },
    plant: (backend) =>
      answering(
        backend,
        (answers) => new Map([...answers].map(([key, answer], index) => [key, index < 4 ? answer : null])),
      ),
  },
  {
    title: 'getMany gives answers by place',
    caughtBy: { 'get-many-absent-in-every-batch': 'what was', 'get-many-absent': 'nobody wrote' },
    plant: (backend) =>
      answering(backend, (answers) => {
        const found = [...answers.values()].filter((answer) => answer !== null);
        return new Map([...answers.keys()].map((key, index) => [key, found[index] ?? null]));
      }),
  },
  {
    title: 'getMany answers as often as it is asked',
    caughtBy: { 'get-many-duplicates': 'nobody asked for' },
    plant: (backend) => ({
      ...backend,
      async getMany(keys, options) {
        const answers = new Map(await backend.getMany(keys, options));
        for (const key of keys) if (keys.indexOf(key) !== keys.lastIndexOf(key)) answers.set(`${key} (again)`, null);
        return answers;
      },
    }),
  },
  {
    title: 'a missing key fails all of them',
    caughtBy: { 'get-many-absent': 'it threw not_found' },
    plant: (backend) =>
      answering(backend, (answers) => {
        if ([...answers.values()].includes(null)) throw new StrongroomError('not_found');
        return answers;
      }),
  },
  {
    title: 'no keys fail',
    caughtBy: { 'get-many-none': 'it threw validation_failed' },
    plant: (backend) =>
      answering(backend, (answers) => {
        if (answers.size === 0) throw new StrongroomError('validation_failed');
        return answers;
      }),
  },
  {
    title: 'a bad name fails all of them',
    caughtBy: { 'get-many-bad-name-alone': 'it threw validation_failed' },
    plant: (backend) =>
      answering(backend, (answers) => {
        for (const answer of answers.values()) if (answer instanceof Error) throw answer;
        return answers;
      }),
  },
];

/** Changes each entry that a read brings. */
export function reading(backend: Backend, change: (entry: Entry) => Entry | null): Backend {
  return {
    ...backend,
    async get(key: string, options: GetOptions) {
      const entry = await backend.get(key, options);
      return entry === null ? null : change(entry);
    },
  };
}

function readingText(backend: Backend, change: (text: string) => string): Backend {
  return reading(backend, (entry) =>
    entry.shape === 'text' ? withBytes(entry, Buffer.from(change(entry.value.revealText()))) : entry,
  );
}

/** Changes each version that is told without a value. */
function telling(backend: Backend, change: (version: string | null, key: string) => KeyVersion): Backend {
  return {
    ...backend,
    async versions(keys, options) {
      const answers = (await backend.versions?.(keys, options)) ?? new Map();
      return new Map(
        [...answers].map(([key, answer]) => {
          const told = versionIn(answer);
          return [key, told === undefined ? answer : change(told.version, key)] as const;
        }),
      );
    },
  };
}

function versionIn(answer: KeyVersion | null | undefined | StrongroomError): KeyVersion | undefined {
  return answer === null || answer instanceof StrongroomError ? undefined : answer;
}

type Answers = Awaited<ReturnType<Backend['getMany']>>;

function answering(backend: Backend, change: (answers: Answers) => Answers): Backend {
  return { ...backend, getMany: async (keys, options) => change(await backend.getMany(keys, options)) };
}

function withBytes(entry: Entry, bytes: Uint8Array): Entry {
  return { ...entry, value: SecretValue.fromBytes(bytes) };
}

function emptyEntry(): Entry {
  return { value: SecretValue.fromText(''), shape: 'text', fieldNames: null, version: '1', updatedAt: null };
}

function jsonAgain(text: string): string {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'string' ? parsed : JSON.stringify(parsed);
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}
