import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import type { Backend, Capabilities, CheckLine, CheckStep, Content, Entry } from '../../src/backend.ts';
import { fieldPairs } from '../../src/conformance/content.ts';
import type { WireRequest } from './server.ts';
import { ReferenceStore, type StoredEntry } from './store.ts';

export const referenceCapabilities: Capabilities = {
  list: true,
  put: true,
  delete: true,
  cas: true,
  versions: true,
  batch: 4,
  fields: 'native',
  limits: { valueBytes: 100_000, containerBytes: ReferenceStore.containerBytes },
};

/** The suite's own test subject: a client of {@link ReferenceServer}. An object of plain methods, so that a test can replace one. */
export function openReferenceBackend(port: number, token: string, capabilities = referenceCapabilities): Backend {
  let isClosed = false;
  const call = async (path: string, body: WireRequest, signal: AbortSignal): Promise<Record<string, unknown>> => {
    if (isClosed) throw new StrongroomError('backend_unavailable', { detail: 'The backend was closed' });
    return send(port, token, path, body, signal);
  };
  const needs = (name: 'list' | 'put' | 'delete'): void => {
    if (!capabilities[name]) throw new StrongroomError('not_supported', { detail: `This backend has no ${name}` });
  };
  const many = async (keys: readonly string[], signal: AbortSignal) => {
    const { entries } = await call('/get-many', { keys }, signal);
    return (entries as [string, StoredAnswer][]).map(([key, entry]) => [key, entryOf(entry)] as const);
  };
  return {
    type: 'reference',
    capabilities,
    async get(key, { signal, version }) {
      assertKey(key);
      if (version !== undefined && !/^[1-9][0-9]{0,14}$/.test(version)) return null;
      const { entry } = await call('/get', { key, ...(version === undefined ? {} : { version }) }, signal);
      const answer = entryOf(entry as StoredAnswer);
      if (answer instanceof StrongroomError) throw answer;
      return answer;
    },
    async getMany(keys, { signal }) {
      const answers = new Map<string, Entry | null | StrongroomError>();
      const good: string[] = [];
      for (const key of new Set(keys)) {
        const problem = problemOf(key);
        if (problem === null) good.push(key);
        else answers.set(key, problem);
      }
      for (let start = 0; start < good.length; start += capabilities.batch) {
        const batch = await many(good.slice(start, start + capabilities.batch), signal);
        for (const [key, entry] of batch) answers.set(key, entry);
      }
      return answers;
    },
    async versions(keys, { signal }) {
      const distinct = [...new Set(keys)];
      const good = distinct.filter((key) => problemOf(key) === null);
      const { versions } = await call('/versions', { keys: good }, signal);
      const known = new Map(versions as [string, string | null][]);
      return new Map(
        distinct.map((key) => {
          const version = known.get(key) ?? null;
          if (version === 'deleted') return [key, new StrongroomError('backend_deleted')] as const;
          return [key, problemOf(key) ?? (version === null ? null : { version })] as const;
        }),
      );
    },
    check: ({ signal }) => checkLines(() => call('/health', {}, signal)),
    async list({ signal, cursor, limit, includesFound = false }) {
      needs('list');
      const after = cursor === undefined ? {} : { after: Buffer.from(cursor, 'base64url').toString() };
      const { keys, isLast } = await call('/list', { limit, includesFound, ...after }, signal);
      const items = (keys as string[]).map((key) => ({ key }));
      const last = items.at(-1)?.key ?? '';
      return { items, nextCursor: isLast === true ? null : Buffer.from(last).toString('base64url') };
    },
    async put(key, content, { signal, expect, intentId }) {
      needs('put');
      assertKey(key);
      assertContent(content, capabilities);
      if (!capabilities.cas && expect.kind !== 'any') throw new StrongroomError('not_supported');
      const valueBase64 = Buffer.from(content.value.reveal()).toString('base64');
      const { version } = await call('/put', { key, shape: content.shape, valueBase64, expect, intentId }, signal);
      return { version: version as string };
    },
    async delete(key, { signal, expect }) {
      needs('delete');
      assertKey(key);
      await call('/delete', { key, expect }, signal);
    },
    close() {
      isClosed = true;
      return Promise.resolve();
    },
  };
}

function problemOf(key: string): StrongroomError | null {
  const isBad = !key.isWellFormed() || /[\0-\x1f\\]/.test(key) || key.split('/').some((part) => /^\.{0,2}$/.test(part));
  return isBad ? new StrongroomError('validation_failed', { detail: 'This can not be a key' }) : null;
}

function assertKey(key: string): void {
  const problem = problemOf(key);
  if (problem !== null) throw problem;
}

function assertContent({ value, shape }: Content, capabilities: Capabilities): void {
  if (value.byteLength > capabilities.limits.valueBytes) {
    throw new StrongroomError('backend_limit', { detail: `At most ${capabilities.limits.valueBytes} bytes` });
  }
  if (shape === 'fields' && fieldPairs(value.reveal()) === null) {
    throw new StrongroomError('validation_failed', { detail: 'These are no fields' });
  }
}

type StoredAnswer = StoredEntry | 'deleted' | null;

function entryOf(stored: StoredAnswer): Entry | null | StrongroomError {
  if (stored === null) return null;
  if (stored === 'deleted') return new StrongroomError('backend_deleted', { detail: 'It was deleted there' });
  const { valueBase64, ...rest } = stored;
  const bytes = Buffer.from(valueBase64, 'base64');
  const fieldNames = stored.shape === 'fields' ? (fieldPairs(bytes) ?? []).map(([name]) => name) : null;
  return { ...rest, value: SecretValue.fromBytes(bytes), fieldNames };
}

const stepOf: Readonly<Record<string, CheckStep>> = {
  backend_sealed: 'state',
  backend_denied: 'login',
  backend_malformed: 'store',
};

async function checkLines(health: () => Promise<unknown>): Promise<CheckLine[]> {
  const steps: CheckStep[] = ['reachable', 'state', 'login', 'store'];
  try {
    await health();
    return steps.map((step) => ({ step, outcome: 'ok', message: 'Fine' }));
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    const failed = steps.indexOf(stepOf[error.code] ?? 'reachable');
    return steps.map((step, index) => {
      if (index < failed) return { step, outcome: 'ok', message: 'Fine' };
      if (index > failed) return { step, outcome: 'skipped', message: 'Not tried' };
      return { step, outcome: 'failed', code: error.code, message: 'It failed' };
    });
  }
}

/** Node's errors and the answer are dropped: they carry what was sent and received. */
async function send(
  port: number,
  token: string,
  path: string,
  body: WireRequest,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const failed = () => new StrongroomError(signal.aborted ? 'deadline_exceeded' : 'backend_unavailable');
  if (signal.aborted) throw failed();
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; retryAfter: number; content: string }>();
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const outgoing = request(
    { host: '127.0.0.1', port, path, method: 'POST', headers, signal, agent: false },
    (incoming) => {
      const retryAfter = Number(incoming.headers['retry-after'] ?? 0);
      text(incoming).then(
        (content) => resolve({ status: incoming.statusCode ?? 0, retryAfter, content }),
        () => reject(failed()),
      );
    },
  );
  outgoing.on('error', () => reject(failed()));
  outgoing.end(JSON.stringify(body));
  const { status, retryAfter, content } = await promise;
  if (status !== 200) throw errorOfStatus(status, retryAfter, content);
  return parse(content);
}

function errorOfStatus(status: number, retryAfterSeconds: number, content: string): StrongroomError {
  if (status === 403) return new StrongroomError('backend_denied');
  if (status === 409) return new StrongroomError('version_conflict');
  if (status === 413) return new StrongroomError('backend_limit');
  if (status === 423) return new StrongroomError('key_clash');
  if (status === 429) return new StrongroomError('backend_throttled', { retryAfterSeconds });
  if (status === 503 && parse(content)['sealed'] === true) return new StrongroomError('backend_sealed');
  return new StrongroomError('backend_unavailable');
}

function parse(content: string): Record<string, unknown> {
  try {
    return JSON.parse(content) as Record<string, unknown>;
  } catch (error) {
    if (error instanceof SyntaxError) throw new StrongroomError('backend_malformed');
    throw error;
  }
}
