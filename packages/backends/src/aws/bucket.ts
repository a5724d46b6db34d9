import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { type Egress, EgressError } from '../egress/index.ts';
import { untilAborted } from '../wrappers/deadline.ts';
import { checkEndpoint, endpointOf } from './endpoint.ts';
import { createRequestHandler } from './request-handler.ts';
import { sdkOptions } from './sdk-options.ts';

export interface BucketSettings {
  /** Default: `us-east-1`, which stores without regions take. */
  readonly region?: string;
  /** Scheme, host and port; default: the region's own. */
  readonly endpoint?: string;
  readonly bucket: string;
  /** ENDPOINT/BUCKET/KEY instead of BUCKET.ENDPOINT/KEY. */
  readonly usesPathStyle: boolean;
}

export interface BucketKeys {
  readonly accessKey: string;
  readonly secretKey: string;
}

/**
 * - `credential`: the store does not know the access key, or the signature is not right
 * - `clock`: the store refuses the time of the request
 * - `refused`: the key pair may not do this
 * - `no-bucket`, `no-object`: not there
 * - `other-region`: the bucket is somewhere else
 * - `throttled`: the store asks for fewer requests
 * - `failing`: the store says that it failed
 * - `malformed`: what answers does not speak S3
 */
export type BucketProblem =
  | 'credential'
  | 'clock'
  | 'refused'
  | 'no-bucket'
  | 'no-object'
  | 'other-region'
  | 'throttled'
  | 'failing'
  | 'malformed';

/** What a store answered that is no success; holds nothing of the answer. */
export class BucketError extends Error {
  readonly problem: BucketProblem;

  constructor(problem: BucketProblem) {
    super(`The store of objects answered: ${problem}.`);
    this.name = 'BucketError';
    this.problem = problem;
  }
}

/** By the name of the error (Amazon S3 API Reference, "Error responses", list of error codes). */
const problems: ReadonlyMap<string, BucketProblem> = new Map<string, BucketProblem>([
  ['InvalidAccessKeyId', 'credential'],
  ['SignatureDoesNotMatch', 'credential'],
  ['InvalidToken', 'credential'],
  ['ExpiredToken', 'credential'],
  ['RequestTimeTooSkewed', 'clock'],
  ['AccessDenied', 'refused'],
  ['AllAccessDisabled', 'refused'],
  ['AccountProblem', 'refused'],
  ['NotSignedUp', 'refused'],
  ['NoSuchBucket', 'no-bucket'],
  ['NoSuchKey', 'no-object'],
  ['PermanentRedirect', 'other-region'],
  ['TemporaryRedirect', 'other-region'],
  ['AuthorizationHeaderMalformed', 'other-region'],
  ['IllegalLocationConstraintException', 'other-region'],
  ['SlowDown', 'throttled'],
  ['RequestLimitExceeded', 'throttled'],
  ['InternalError', 'failing'],
  ['ServiceUnavailable', 'failing'],
]);

/** One version of an object, in a bucket that keeps versions; `undefined` in any other. */
export type ObjectVersion = string | undefined;

/** The listing of one key, a small object, or an error: a parser takes long for what is much longer. */
const maxAnswerBytes = 64 * 1024;

/**
 * Small objects of one S3-compatible bucket, over the egress guard. One request for each call: no retries, no redirects. Every method
 * throws `BucketError` or `EgressError`, which hold nothing of requests and answers, or the reason of the signal.
 */
export class Bucket {
  readonly #sdk: S3Client;
  readonly #bucket: string;
  readonly #check: () => void;

  constructor(settings: BucketSettings, keys: BucketKeys, egress: Egress) {
    const { region = 'us-east-1', bucket, usesPathStyle } = settings;
    const endpoint = endpointOf(regionalUrl(region), settings.endpoint);
    this.#bucket = bucket;
    this.#check = () => checkEndpoint(endpoint, egress);
    this.#sdk = new S3Client({
      ...sdkOptions,
      region,
      endpoint: endpoint.url,
      forcePathStyle: usesPathStyle,
      credentials: { accessKeyId: keys.accessKey, secretAccessKey: keys.secretKey },
      requestHandler: createRequestHandler(egress, endpoint.rules, { streamsAnswers: true, maxAnswerBytes }),
      // Other stores don't know the newer checksums.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      followRegionRedirects: false,
      useArnRegion: false,
      useAccelerateEndpoint: false,
      disableMultiregionAccessPoints: true,
      disableS3ExpressSessionAuth: true,
    });
  }

  /** Whether keys below a prefix may be listed; looks at one key at most. */
  async list(prefix: string, signal: AbortSignal): Promise<void> {
    const command = new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: prefix, MaxKeys: 1 });
    const { IsTruncated, KeyCount } = await this.#send(signal, (options) => this.#sdk.send(command, options));
    // Every listing has them; a log-in page doesn't.
    if (IsTruncated === undefined && KeyCount === undefined) throw new BucketError('malformed');
  }

  async put(key: string, content: Uint8Array, signal: AbortSignal): Promise<ObjectVersion> {
    const command = new PutObjectCommand({ Bucket: this.#bucket, Key: key, Body: content });
    return (await this.#send(signal, (options) => this.#sdk.send(command, options))).VersionId;
  }

  async get(key: string, signal: AbortSignal): Promise<Uint8Array> {
    const command = new GetObjectCommand({ Bucket: this.#bucket, Key: key });
    return this.#send(signal, async (options) => {
      const { Body } = await this.#sdk.send(command, options);
      if (Body === undefined) throw new BucketError('malformed');
      return Body.transformToByteArray();
    });
  }

  /** @returns the marker that stands for the deletion in a bucket that keeps versions */
  async delete(key: string, version: ObjectVersion, signal: AbortSignal): Promise<ObjectVersion> {
    const command = new DeleteObjectCommand({ Bucket: this.#bucket, Key: key, VersionId: version });
    return (await this.#send(signal, (options) => this.#sdk.send(command, options))).VersionId;
  }

  close(): void {
    this.#sdk.destroy();
  }

  async #send<Answer>(
    signal: AbortSignal,
    run: (options: { readonly abortSignal: AbortSignal }) => Promise<Answer>,
  ): Promise<Answer> {
    signal.throwIfAborted();
    this.#check();
    try {
      return await untilAborted(run({ abortSignal: signal }), signal);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof EgressError || error instanceof BucketError) throw error;
      // Nothing of the SDK's error is kept: it has the answer and parts of the request.
      throw new BucketError(problemOf(error));
    }
  }
}

function regionalUrl(region: string): URL {
  const sdk = new S3Client({ ...sdkOptions, region });
  const { url } = sdk.config.endpointProvider({ Region: region, UseDualStack: false, UseFIPS: false });
  sdk.destroy();
  return url;
}

function problemOf(error: unknown): BucketProblem {
  if (!(error instanceof Error)) return 'malformed';
  const known = problems.get(error.name);
  if (known !== undefined) return known;
  const status = statusOf(error);
  if (status === 401 || status === 403) return 'refused';
  if (status === 429) return 'throttled';
  if (status === 301 || status === 307) return 'other-region';
  return status >= 500 ? 'failing' : 'malformed';
}

function statusOf(error: Error): number {
  if (!('$metadata' in error)) return 0;
  const { $metadata: metadata } = error;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return 0;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : 0;
}
