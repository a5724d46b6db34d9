import { StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import type { Backend, Content, Expectation, PutOptions } from '../../src/backend.ts';
import { referenceCapabilities } from './backend.ts';
import type { Defect } from './defects.ts';

const any: Expectation = { kind: 'any' };

/** What is wrong with `put` and `delete`. */
export const writeDefects: readonly Defect[] = [
  {
    title: 'NUL ends a text',
    caughtBy: { 'put-kept-or-refused': 'bytes came back' },
    plant: (backend) =>
      writing(backend, (content) =>
        content.shape === 'text'
          ? { ...content, value: SecretValue.fromText(content.value.revealText().replace(/\0.*/s, '')) }
          : content,
      ),
  },
  {
    title: 'a write is kept back',
    caughtBy: { 'put-seen-by-others': 'nothing is there', 'put-listed': 'not listed' },
    plant: (backend) => {
      let waiting: (() => Promise<unknown>) | null = null;
      return {
        ...backend,
        async put(key, content, options) {
          await waiting?.();
          waiting = () => backend.put(key, content, options);
          return { version: null };
        },
      };
    },
  },
  {
    title: 'fields that a write does not have stay',
    caughtBy: { 'put-whole': 'other fields' },
    plant: (backend) => ({
      ...backend,
      async put(key, content, options) {
        const before = await backend.get(key, { signal: options.signal });
        if (content.shape !== 'fields' || before?.shape !== 'fields') return backend.put(key, content, options);
        const both = { ...parse(before), ...parse(content) };
        return backend.put(key, { ...content, value: SecretValue.fromText(JSON.stringify(both)) }, options);
      },
    }),
  },
  {
    title: 'the version before is returned',
    caughtBy: { 'put-version': 'not the one that the write returned' },
    plant: (backend) => ({
      ...backend,
      async put(key, content, options) {
        const before = await backend.get(key, { signal: options.signal });
        await backend.put(key, content, options);
        return { version: before?.version ?? null };
      },
    }),
  },
  {
    title: 'the id of the intent is lost',
    caughtBy: { 'put-intent-kept': 'the id of the write', 'cas-intent': 'it threw version_conflict' },
    plant: (backend) => ({
      ...backend,
      put: (key, content, options) => backend.put(key, content, { ...options, intentId: crypto.randomUUID() }),
    }),
  },
  {
    title: 'the object is read, changed and written without a condition',
    caughtBy: { 'put-neighbours-at-once': 'one of ten writes' },
    plant: (backend, { store }) => ({
      ...backend,
      async put(key, content, options) {
        const before = store.list(null, 1000);
        const written = await backend.put(key, content, options);
        for (const other of store.list(null, 1000)) if (other !== key && !before.includes(other)) store.remove(other);
        return written;
      },
    }),
  },
  {
    title: 'cas ignored',
    caughtBy: {
      'cas-absent': 'it did not throw',
      'cas-version': 'it did not throw',
      'cas-version-of-nothing': 'it did not throw',
      'cas-intent': 'it did not throw',
      'cas-outside-change': 'it did not throw',
      'cas-one-of-many-wins': '8 of 8',
      'cas-no-lost-update': 'are lost',
    },
    plant: (backend) => expecting(backend, () => any),
  },
  {
    title: 'lost update: the version is looked at before the write',
    caughtBy: { 'cas-no-lost-update': 'are lost' },
    plant: (backend) => ({
      ...backend,
      async put(key, content, options) {
        const { expect, signal } = options;
        const before = await backend.get(key, { signal });
        if (expect.kind === 'version' && before?.version !== expect.version)
          throw new StrongroomError('version_conflict');
        return backend.put(key, content, { ...options, expect: any });
      },
    }),
  },
  {
    title: 'what was deleted is still in the way',
    caughtBy: { 'cas-absent-after-delete': 'it threw version_conflict' },
    plant: (backend) => {
      const written = new Set<string>();
      return {
        ...backend,
        put(key, content, options) {
          if (options.expect.kind === 'absent' && written.has(key)) throw new StrongroomError('version_conflict');
          written.add(key);
          return backend.put(key, content, options);
        },
      };
    },
  },
  {
    title: 'a delete does not look at what it expects',
    caughtBy: { 'delete-expectation': 'it did not throw' },
    plant: (backend) => ({ ...backend, delete: (key, options) => backend.delete(key, { ...options, expect: any }) }),
  },
  {
    title: 'the limit is looked at after the write',
    caughtBy: { 'limit-refused-before-writing': 'after the refusal' },
    plant: (backend) =>
      limitedTo(1000, backend, async (write, content) => {
        const written = await write();
        if (content.value.byteLength > 1000) throw new StrongroomError('backend_limit');
        return written;
      }),
  },
  {
    title: 'the limit is of characters',
    caughtBy: { 'limit-refused-before-writing': 'it did not throw' },
    plant: (backend) =>
      limitedTo(1000, backend, (write, content) => {
        if (content.value.revealText().length > 1000) throw new StrongroomError('backend_limit');
        return write();
      }),
  },
  {
    title: 'what the container does not take is an outage',
    caughtBy: { 'limit-of-container': 'it threw backend_unavailable' },
    plant: (backend) => ({
      ...backend,
      async put(key, content, options) {
        try {
          return await backend.put(key, content, options);
        } catch (error) {
          throw error instanceof StrongroomError && error.code === 'backend_limit' && content.value.byteLength < 99_000
            ? new StrongroomError('backend_unavailable')
            : error;
        }
      },
    }),
  },
  {
    title: 'delete of a missing entry fails',
    caughtBy: { 'delete-absent': 'it threw not_found' },
    plant: (backend) => ({
      ...backend,
      async delete(key, options) {
        if ((await backend.get(key, { signal: options.signal })) === null) throw new StrongroomError('not_found');
        await backend.delete(key, options);
      },
    }),
  },
  {
    title: 'delete does nothing',
    caughtBy: { 'delete-removes': 'get finds it' },
    plant: (backend) => ({ ...backend, delete: () => Promise.resolve() }),
  },
  {
    title: 'delete takes all that begins like the key',
    caughtBy: { 'delete-one-only': 'beside the deleted one' },
    plant: (backend, { store }) => ({
      ...backend,
      async delete(key, options) {
        await backend.delete(key, options);
        for (const other of store.list(null, 1000)) if (other.startsWith(key)) store.remove(other);
      },
    }),
  },
  {
    title: 'foreign key dropped: an entry is replaced by a new one',
    caughtBy: { 'foreign-kept-by-put': 'the write changed' },
    plant: (backend) => ({
      ...backend,
      async put(key, content, options) {
        await backend.delete(key, { signal: options.signal, expect: any });
        return backend.put(key, content, options);
      },
    }),
  },
  {
    title: 'delete removes a foreign object',
    caughtBy: { 'foreign-kept-by-delete': 'the delete changed' },
    plant: (backend, { store }) => ({
      ...backend,
      delete(key) {
        store.remove(key);
        return Promise.resolve();
      },
    }),
  },
  {
    title: 'a write takes over what is foreign',
    caughtBy: { 'foreign-not-overwritten': 'not refused' },
    plant: (backend, { store }) => ({
      ...backend,
      put(key, content, options) {
        store.database.prepare(`UPDATE entries SET owner = 'ours' WHERE key = ?`).run(key);
        return backend.put(key, content, { ...options, expect: any });
      },
    }),
  },
  {
    title: 'a conflict quotes the value',
    caughtBy: { 'error-without-value': 'a write that conflicts: the message' },
    plant: (backend) => ({
      ...backend,
      async put(key, content, options) {
        try {
          return await backend.put(key, content, options);
        } catch (error) {
          if (!(error instanceof StrongroomError) || error.code !== 'version_conflict') throw error;
          throw new StrongroomError(error.code, { detail: `Could not write ${content.value.revealText()}` });
        }
      },
    }),
  },
];

/** Changes each content that is written. */
function writing(backend: Backend, change: (content: Content) => Content): Backend {
  return { ...backend, put: (key, content, options) => backend.put(key, change(content), options) };
}

function expecting(backend: Backend, change: (expect: Expectation) => Expectation): Backend {
  const put = (key: string, content: Content, options: PutOptions) =>
    backend.put(key, content, { ...options, expect: change(options.expect) });
  return { ...backend, put };
}

function limitedTo(
  valueBytes: number,
  backend: Backend,
  put: (write: () => ReturnType<Backend['put']>, content: Content) => ReturnType<Backend['put']>,
): Backend {
  return {
    ...backend,
    capabilities: { ...referenceCapabilities, limits: { valueBytes } },
    put: async (key, content, options) => put(() => backend.put(key, content, options), content),
  };
}

function parse(content: Content): Record<string, string> {
  return JSON.parse(content.value.revealText()) as Record<string, string>;
}
