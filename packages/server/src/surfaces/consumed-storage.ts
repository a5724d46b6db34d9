import type { ConsumedStorage } from './definition.ts';
import type { PlacedText, ValueRenderer } from './rendering.ts';

/** What a workload is given of the storage configurations that it consumes. */

/**
 * Properties of Hadoop's S3A connector for each bucket (Hadoop, "Configuring different S3 buckets with per-bucket
 * configuration"). Two configurations of one bucket can't be told apart there: a problem of the launch.
 */
export function storageProperties(
  storage: readonly ConsumedStorage[],
  renderer: ValueRenderer,
): Map<string, PlacedText> {
  const properties = new Map<string, PlacedText>();
  const buckets = new Map<string, string>();
  for (const each of storage) {
    const other = buckets.get(each.bucket);
    if (other !== undefined)
      renderer.problems.push(`${other} and ${each.name} are the same bucket, which Spark can only open with one key.`);
    buckets.set(each.bucket, each.name);
    const prefix = `spark.hadoop.fs.s3a.bucket.${each.bucket}`;
    const plain: Readonly<Record<string, string | undefined>> = {
      endpoint: each.endpoint,
      'endpoint.region': each.region,
      'path.style.access': String(each.usesPathStyle),
      'connection.ssl.enabled': each.endpoint === undefined ? undefined : String(!each.endpoint.startsWith('http:')),
    };
    for (const [name, text] of Object.entries(plain))
      if (text !== undefined) properties.set(`${prefix}.${name}`, { text, isSecret: false });
    const { accessKey, secretKey } = each.places;
    if (accessKey !== undefined)
      properties.set(`${prefix}.access.key`, renderer.property(`${prefix}.access.key`, accessKey));
    if (secretKey !== undefined)
      properties.set(`${prefix}.secret.key`, renderer.property(`${prefix}.secret.key`, secretKey));
  }
  return properties;
}

/**
 * Variables for what is not Spark: `STORAGE_NAME_BUCKET` and so on for each, and those of Amazon's SDKs when there is only
 * one. A variable that is set already stands.
 */
export function addStorageVariables(
  environment: Map<string, string>,
  storage: readonly ConsumedStorage[],
  renderer: ValueRenderer,
): void {
  for (const each of storage) {
    const own = `STORAGE_${each.name.toUpperCase().replaceAll('-', '_')}`;
    add(environment, each, renderer, {
      provider: `${own}_PROVIDER`,
      bucket: `${own}_BUCKET`,
      basePath: `${own}_BASE_PATH`,
      endpoint: `${own}_ENDPOINT`,
      region: `${own}_REGION`,
      accessKey: `${own}_ACCESS_KEY`,
      secretKey: `${own}_SECRET_KEY`,
    });
  }
  const [only, second] = storage;
  if (only === undefined || second !== undefined) return;
  // AWS SDKs and Tools Reference Guide, "Environment variables support".
  add(environment, only, renderer, {
    endpoint: 'AWS_ENDPOINT_URL_S3',
    region: 'AWS_REGION',
    accessKey: 'AWS_ACCESS_KEY_ID',
    secretKey: 'AWS_SECRET_ACCESS_KEY',
  });
}

type Plain = 'provider' | 'bucket' | 'endpoint' | 'region';
type Place = keyof ConsumedStorage['places'];
const placeNames: ReadonlySet<string> = new Set<Place>(['accessKey', 'secretKey', 'basePath']);

function add(
  environment: Map<string, string>,
  storage: ConsumedStorage,
  renderer: ValueRenderer,
  names: Readonly<Partial<Record<Plain | Place, string>>>,
): void {
  for (const [part, name] of Object.entries(names)) {
    if (environment.has(name)) continue;
    if (placeNames.has(part)) {
      const place = storage.places[part as Place];
      if (place !== undefined) environment.set(name, renderer.variable(name, place));
      continue;
    }
    const text = storage[part as Plain];
    if (text !== undefined) environment.set(name, text);
  }
}
