import { parseVaultPath, StrongroomError } from '@strongroom/contract/core';
import type { VaultAuthentication, VaultSettings } from '@strongroom/contract';
import type { Capabilities } from '../backend.ts';
import type { BackendParts } from '../definition.ts';
import { VaultBackend } from './backend.ts';
import { VaultClient } from './client.ts';
import { VaultConnection, type VaultMethod, type VaultTarget } from './connection.ts';
import { FieldsOfOneLayout } from './fields-of-one.ts';
import { KvReader } from './kv.ts';
import { SecretPerKeyLayout } from './secret-per-key.ts';
import { createSignIn } from './sign-in.ts';
import { TokenCache } from './token-cache.ts';

/** Of an integration: what reads. The log-in besides, which is a POST, is a way of its own. */
const readingMethods: readonly VaultMethod[] = ['GET', 'LIST'];

export const capabilities: Capabilities = {
  list: true,
  put: false,
  delete: false,
  cas: false,
  versions: true,
  batch: 1,
  fields: 'native',
  limits: { valueBytes: 1024 * 1024 },
};

/** All keys are fields of one secret: one request has them all, and they share its version. */
const fieldsCapabilities: Capabilities = { ...capabilities, versions: false, batch: 1000, versionBatch: 1000 };

export interface VaultAccess extends VaultTarget {
  readonly authentication: VaultAuthentication;
}

/** A client that signs in as the settings say. */
export function openClient(access: VaultAccess, methods: readonly VaultMethod[], parts: BackendParts): VaultClient {
  const connection = new VaultConnection(access, parts.egress, methods);
  return new VaultClient(connection, new TokenCache(createSignIn(access.authentication, connection, parts.credential)));
}

/** @throws StrongroomError `validation_failed` for a path that is none, or none of one secret where it has to be */
export function openVault(settings: VaultSettings, parts: BackendParts): VaultBackend {
  const { mount, path } = parseVaultPath(settings.path);
  const isFields = settings.layout === 'fields';
  if (isFields && path === '')
    throw new StrongroomError('validation_failed', {
      detail: 'In the layout fields the path names one secret: /v1/MOUNT/data/SECRET.',
    });
  const client = openClient(settings, readingMethods, parts);
  const kv = new KvReader(client, mount);
  return new VaultBackend({
    client,
    kv,
    layout: isFields ? new FieldsOfOneLayout(kv, path) : new SecretPerKeyLayout(kv, path),
    capabilities: isFields ? fieldsCapabilities : capabilities,
    isLogIn: settings.authentication.method !== 'token',
  });
}
