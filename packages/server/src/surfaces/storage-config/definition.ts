import { surfaceActions } from '@strongroom/contract';
import type { ScopeRef } from '../../access/types.ts';
import { credentialFields, readCredentials, textFields } from '../credential-fields.ts';
import {
  type Destination,
  FieldProblems,
  type Normalised,
  type Settle,
  type StorageSettings,
  type SurfaceDefinition,
} from '../definition.ts';
import { given } from '../launch-inputs.ts';
import { checkPlainText } from '../plain-text.ts';
import type { StorageConfigDocument, StorageConfigInput } from './document.ts';
import { destinationOf, readEndpoint, storeOf } from './endpoint.ts';

/** The surface `storage-config`. */
export const storageConfigSurface = {
  type: 'storage-config',
  title: 'storage configuration',
  scope: 'domain',
  actions: surfaceActions['storage-config'],
  normalise,
  parse: (json) => JSON.parse(json) as StorageConfigDocument,
  fields: ({ accessKey, secretKey, basePath }) => [
    ...credentialFields({ accessKey, secretKey }),
    ...textFields({ basePath }, { basePath: { settle: settleBasePath } }),
  ],
  authorityPart: ({ description: _description, ...rest }) => rest,
  credentials: { names: ['accessKey', 'secretKey'], destination },
  storage,
  /** A base path is in its one spelling already; one with placeholders counts as it is written. */
  uniqueAs: (document) => JSON.stringify([storeOf(document), document.bucket, document.basePath ?? '']),
} satisfies SurfaceDefinition<StorageConfigInput, StorageConfigDocument>;

function destination(document: StorageConfigDocument): Destination {
  return destinationOf(document);
}

function storage(document: StorageConfigDocument): StorageSettings {
  const { provider, region, endpoint, bucket, basePath, usesPathStyle } = document;
  return { provider, bucket, usesPathStyle, ...given({ region, endpoint, basePath }) };
}

function normalise(input: StorageConfigInput, scope: ScopeRef): Normalised<StorageConfigDocument> {
  const problems = new FieldProblems();
  const { description, provider, region, bucket, accessKey, secretKey } = input;
  const endpoint = input.endpoint === undefined ? undefined : readEndpoint(input.endpoint, problems);
  if (provider === 's3-compatible' && input.endpoint === undefined)
    problems.add('/endpoint', 'It needs the address of the store.');
  if (provider === 'aws' && input.endpoint === undefined && region === undefined)
    problems.add('/region', 'It needs the region of the bucket, or an endpoint.');
  if (bucket.includes('..') || /^\d+\.\d+\.\d+\.\d+$/.test(bucket))
    problems.add('/bucket', 'A bucket has no two dots in a row, and is no IP address.');
  const basePath = readBasePath(input.basePath, problems);
  const credentials = readCredentials({ accessKey, secretKey }, scope, problems);
  if (problems.errors.length > 0)
    for (const change of credentials.values()) if (change.kind === 'set') change.value.destroy();
  problems.refuse('storage configuration');
  const usesPathStyle = input.usesPathStyle ?? provider === 's3-compatible';
  const document = { ...given({ description, region, endpoint, basePath }), provider, bucket, usesPathStyle };
  return { document, warnings: [], origins: new Map(), credentials };
}

/** The same place with and without slashes around it is one place. */
const settleBasePath: Settle = (text) => {
  const path = text.replace(/^\/+/, '').replace(/\/+$/, '');
  if (path.split('/').some((segment) => segment === '.' || segment === '..' || (segment === '' && path !== '')))
    return { problem: 'It has no empty segment, and none of dots.' };
  // oxlint-disable-next-line no-control-regex -- what a key may not have is what is looked for
  if (/[\u0000-\u001f\u007f\\]/.test(path)) return { problem: 'It has no control character and no backslash.' };
  return { text: path };
};

function readBasePath(text: string | undefined, problems: FieldProblems): string | undefined {
  if (text === undefined) return undefined;
  checkPlainText(text, '/basePath', problems);
  const settled = settleBasePath(text);
  if ('problem' in settled) problems.add('/basePath', settled.problem);
  return 'problem' in settled || settled.text === '' ? undefined : settled.text;
}
