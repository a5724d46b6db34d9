import type { Destination, FieldProblems } from '../definition.ts';
import type { StorageConfigDocument } from './document.ts';

const shape = /^(https?):\/\/([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?\/?$/i;

/** Scheme, host and port, in one spelling; `undefined` with the problem noted. */
export function readEndpoint(text: string, problems: FieldProblems): string | undefined {
  const match = shape.exec(text);
  const url = match === null ? null : URL.parse(text);
  if (match === null || url === null || url.hostname === '') {
    problems.add('/endpoint', 'It is http:// or https://, a host and a port, and nothing else.');
    return undefined;
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    problems.add('/endpoint', 'Without TLS only a store on this machine is spoken to; use https://.');
    return undefined;
  }
  return url.origin;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Where requests to a bucket go (AWS General Reference, "Amazon S3 endpoints"). */
export function destinationOf({ endpoint, region }: Pick<StorageConfigDocument, 'endpoint' | 'region'>): Destination {
  const url = new URL(endpoint ?? `https://s3.${region ?? 'us-east-1'}.amazonaws.com`);
  const scheme = url.protocol.slice(0, -1);
  const port = url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port);
  return { scheme, host: url.hostname, port };
}

/**
 * One text for each store whose bucket names are its own, whatever endpoint leads to it. Those of AWS are unique in a partition
 * (Amazon S3 User Guide, "Bucket naming rules"): its regional, dual-stack, FIPS and VPC endpoints are one store.
 */
export function storeOf({ endpoint, region }: Pick<StorageConfigDocument, 'endpoint' | 'region'>): string {
  const url = new URL(endpoint ?? 'https://s3.amazonaws.com');
  const name = url.hostname.replace(/\.$/, '');
  if (!/\.amazonaws\.com(?:\.cn)?$/.test(name)) return url.origin.replace(url.hostname, name);
  const [partition = ''] = /\b(?:cn|us-gov)-/.exec(`${region ?? ''} ${name}`) ?? [];
  return `aws ${partition}`.trim();
}
