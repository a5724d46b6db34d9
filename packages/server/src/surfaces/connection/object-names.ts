import { objectName, identityOf } from '@strongroom/backends/kubernetes-names';
import {
  formatReference,
  type KubernetesStoreSettings,
  type ReferenceObject,
  StrongroomError,
} from '@strongroom/contract';
import type { ScopeRef } from '../../access/types.ts';
import { findTarget } from '../../launches/targets.ts';
import type { Store } from '../../store/store.ts';
import { fromReferenceObject } from '../named-fields.ts';
import type { Config } from './document.ts';

/** `secret:NAME`: what OpenMetadata writes in place of a secret, NAME being a Secret of Kubernetes. */

const written = /^secret:(?!\/\/)([A-Za-z0-9][A-Za-z0-9._-]{0,252})$/;

/** A config with a reference in place of each `secret:NAME`, whichever way it is written. */
export function readObjectNames(config: Config, settings: KubernetesStoreSettings, scope: ScopeRef): Config {
  const read = (value: unknown): unknown => {
    if (typeof value === 'string') {
      const reference = referenceOf(value, settings, scope);
      return reference === undefined ? value : { secret: reference };
    }
    if (Array.isArray(value)) return value.map(read);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => {
        const reference =
          name === 'secret' && typeof member === 'string' ? referenceOf(member, settings, scope) : undefined;
        return [name, reference ?? read(member)];
      }),
    );
  };
  return read(config) as Config;
}

/**
 * The secret that has this Secret, or whose key the name is: of the domain by the domain's names, of Global by the rest of the
 * install's. Whether it is there, and may be used, is decided as of any reference.
 */
function referenceOf(text: string, settings: KubernetesStoreSettings, scope: ScopeRef): ReferenceObject | undefined {
  const name = written.exec(text)?.[1];
  if (name === undefined) return undefined;
  const { openMetadataDomain } = settings;
  const kinds = ['domain', 'global'] as const;
  const start = (kind: 'domain' | 'global'): string => {
    const managed = kind === 'global' ? ({ kind } as const) : ({ kind, name: scope.name } as const);
    // A name with one letter for its key is the start of all names.
    return objectName({ ...identityOf(settings, managed), key: 'x' }, 'openmetadata').slice(0, -1);
  };
  const found = kinds
    .filter((kind) => kind === 'domain' || scope.name !== openMetadataDomain)
    .find((kind) => name.startsWith(start(kind)) && name.length > start(kind).length);
  if (found === undefined) return { scope: 'domain', key: name };
  return { scope: found, key: name.slice(start(found).length) };
}

/**
 * The name of the Secret that has the value of a reference.
 * @throws StrongroomError `state_conflict` for what has no Secret of its own: another kind of store or layout, an integration, a
 * part of a value
 */
export async function objectNameOf(
  store: Store,
  settings: KubernetesStoreSettings,
  scope: ScopeRef,
  secret: ReferenceObject,
): Promise<string> {
  const reference = fromReferenceObject(secret);
  const text = formatReference(reference);
  const target = await findTarget(store, scope, reference);
  const refuse = (why: string): StrongroomError =>
    new StrongroomError('state_conflict', {
      detail: `${text} ${why}, so that a runtime of OpenMetadata could not read it.`,
      hint: 'Keep the secrets of connections in a managed store in Kubernetes with the layout object-per-secret.',
    });
  if (target.source?.type !== 'KUBERNETES') throw refuse('is not in Kubernetes');
  if (settings.layout === 'scope-objects') throw refuse('has no Secret of its own');
  if (target.secret === null || target.secret.isDeleted) throw refuse('is not there');
  if (reference.field !== undefined) throw refuse('is a part of a value');
  const managed =
    target.scope === 'global' ? ({ kind: 'global' } as const) : ({ kind: 'domain', name: scope.name } as const);
  return objectName({ ...identityOf(settings, managed), key: target.secret.key }, settings.naming ?? 'unique');
}
