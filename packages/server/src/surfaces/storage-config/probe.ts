import { randomUUID } from 'node:crypto';
import type { Bucket, BucketError, ObjectVersion } from '@strongroom/backends/aws-bucket';
import type { Egress } from '@strongroom/backends/egress';
import { StrongroomError, type TestCause } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import type { TestStep, TriedForm } from '../form-test.ts';
import { causeOfEgress, failedStep } from '../network-step.ts';
import type { StorageConfigDocument } from './document.ts';

/** What a probe's object begins with, below the base path; what follows is random. */
const probeObjectPrefix = '.strongroom-probe-';

const probeNames = ['list', 'write', 'read', 'delete'] as const;
type ProbeName = (typeof probeNames)[number];

/** For one probe; removing the object has as long again, whatever became of the test. */
const probeMilliseconds = 5_000;

const causes: Readonly<Record<BucketError['problem'], readonly [cause: TestCause, message: string]>> = {
  credential: ['authentication-refused', 'The store does not know the access key, or the secret key is not its own.'],
  clock: ['authentication-refused', 'The store refused the time of the request; check the clock of this server.'],
  refused: ['permission-refused', 'The key pair may not do this here.'],
  'no-bucket': ['target-missing', 'There is no bucket of this name.'],
  'no-object': ['target-missing', 'What was written is not there.'],
  'other-region': ['target-missing', 'The bucket is in another region, or has another endpoint.'],
  throttled: ['throttled', 'The store asks for fewer requests.'],
  failing: ['unreachable', 'The store answered that it failed.'],
  malformed: ['malformed', 'What answers there does not speak S3.'],
};

/** After these no further probe can have another outcome. */
const isFinal: ReadonlySet<TestCause> = new Set([
  'address-refused',
  'unreachable',
  'tls-refused',
  'certificate-mismatch',
  'certificate-untrusted',
  'certificate-expired',
  'authentication-refused',
  'target-missing',
  'malformed',
]);

/**
 * Lists, writes, reads and deletes below the base path of a storage configuration, each with its own outcome: what a key pair
 * may not do says nothing of the rest. The one object that is touched has a name that nobody else has; it is removed in any
 * case that leaves the store within reach.
 */
export async function probeStorage(form: TriedForm<StorageConfigDocument>, egress: Egress): Promise<TestStep[]> {
  const [accessKey, secretKey] = [form.credential('accessKey'), form.credential('secretKey')];
  if (accessKey === undefined || secretKey === undefined) {
    const missing = accessKey === undefined ? 'an access key' : 'a secret key';
    return stopped([failedStep('list', 'authentication-refused', `It needs ${missing} to be tried with.`)]);
  }
  const keys = { accessKey: textOf(accessKey), secretKey: textOf(secretKey) };
  if (keys.accessKey === undefined || keys.secretKey === undefined)
    return stopped([
      failedStep('list', 'authentication-refused', 'A key is visible ASCII characters and nothing else.'),
    ]);
  // What makes requests is loaded by the first test.
  const [{ Bucket, BucketError }, { EgressError }] = await Promise.all([
    import('@strongroom/backends/aws-bucket'),
    import('@strongroom/backends/egress'),
  ]);
  const { accessKey: id, secretKey: secret } = keys;
  const bucket = new Bucket(form.document, { accessKey: id, secretKey: secret }, egress);
  try {
    const causeOf = (error: unknown): readonly [TestCause, string?] => {
      if (error instanceof BucketError) return causes[error.problem];
      if (error instanceof EgressError) return [causeOfEgress(error)];
      if (error instanceof StrongroomError && error.code === 'deadline_exceeded') return ['deadline'];
      throw error;
    };
    return await new Probes(bucket, form, causeOf).run();
  } finally {
    bucket.close();
  }
}

class Probes {
  readonly #bucket: Bucket;
  readonly #signal: AbortSignal;
  readonly #basePath: string;
  readonly #causeOf: (error: unknown) => readonly [TestCause, string?];
  readonly #steps: TestStep[] = [];

  constructor(
    bucket: Bucket,
    { document, signal }: TriedForm<StorageConfigDocument>,
    causeOf: (error: unknown) => readonly [TestCause, string?],
  ) {
    this.#bucket = bucket;
    this.#signal = signal;
    const { basePath = '' } = document;
    this.#basePath = basePath === '' ? '' : `${basePath}/`;
    this.#causeOf = causeOf;
  }

  async run(): Promise<TestStep[]> {
    const bucket = this.#bucket;
    if (!(await this.#try('list', (signal) => bucket.list(this.#basePath, signal)))) return stopped(this.#steps);
    const name = `${probeObjectPrefix}${randomUUID()}`;
    const key = `${this.#basePath}${name}`;
    const content = Buffer.from(`A probe of storage: ${randomUUID()}\n`);
    let isWritten = false;
    let version: ObjectVersion;
    try {
      await this.#try('write', async (signal) => {
        version = await bucket.put(key, content, signal);
        isWritten = true;
      });
      await this.#try('read', async (signal) => {
        const read = await this.#read(key, isWritten, signal);
        if (read !== null && !content.equals(read)) throw new MismatchError();
      });
    } finally {
      // Also what a request that seemed to fail may have written; on a signal of its own.
      await this.#remove(key, name, version);
    }
    return this.#steps;
  }

  /** What was written; `null` where nothing was, and the answer says that it might have been read. */
  async #read(key: string, isWritten: boolean, signal: AbortSignal): Promise<Uint8Array | null> {
    try {
      return await this.#bucket.get(key, signal);
    } catch (error) {
      if (!isWritten && (error as Partial<BucketError>).problem === 'no-object') return null;
      throw error;
    }
  }

  /** @param name without the base path, in which may be what nobody is to see */
  async #remove(key: string, name: string, version: ObjectVersion): Promise<void> {
    const bucket = this.#bucket;
    let marker: ObjectVersion;
    const step = 'delete';
    const isRemoved = await this.#try(
      step,
      async (signal) => {
        marker = await bucket.delete(key, undefined, signal);
      },
      false,
    );
    if (!isRemoved || (version === undefined && marker === undefined)) return;
    // A bucket that keeps versions still has what was written, and a marker.
    try {
      const signal = AbortSignal.timeout(probeMilliseconds);
      for (const each of [version, marker])
        if (each !== undefined && each !== 'null') await bucket.delete(key, each, signal);
    } catch (error) {
      this.#causeOf(error);
      const message = `Deleted; the bucket keeps versions, and those of ${name} below the base path could not be removed.`;
      this.#steps[this.#steps.length - 1] = { name: step, outcome: 'ok', message };
    }
  }

  /** @returns whether further probes make sense */
  async #try(name: ProbeName, probe: (signal: AbortSignal) => Promise<void>, isBoundToTest = true): Promise<boolean> {
    const limit = AbortSignal.timeout(probeMilliseconds);
    try {
      await probe(isBoundToTest ? AbortSignal.any([this.#signal, limit]) : limit);
      this.#steps.push({ name, outcome: 'ok' });
      return true;
    } catch (error) {
      const [cause, message] = this.#causeOfAny(error, limit);
      this.#steps.push(failedStep(name, cause, message));
      return !isFinal.has(cause);
    }
  }

  #causeOfAny(error: unknown, limit: AbortSignal): readonly [TestCause, string?] {
    if (error instanceof MismatchError) return ['malformed', 'The store gave back something else than was written.'];
    if (limit.aborted || this.#signal.aborted) return ['deadline'];
    return this.#causeOf(error);
  }
}

class MismatchError extends Error {}

/** The rest of the probes was not tried. */
function stopped(steps: readonly TestStep[]): TestStep[] {
  const tried = new Set(steps.map(({ name }) => name));
  return [
    ...steps,
    ...probeNames.filter((name) => !tried.has(name)).map((name): TestStep => ({ name, outcome: 'skipped' })),
  ];
}

/** A key as it can be put into a header; `undefined` for bytes that are none. */
function textOf(value: SecretValue): string | undefined {
  const bytes = value.reveal();
  try {
    const isPlain = bytes.length > 0 && bytes.every((byte) => byte > 0x20 && byte < 0x7f);
    return isPlain ? Buffer.from(bytes).toString('latin1') : undefined;
  } finally {
    bytes.fill(0);
  }
}
