import { formatReference, placeholderKeys, placeholderReference, type Reference } from '@strongroom/contract';
import { type Field } from '../surfaces/definition.ts';

/** One place that needs one secret. */
export interface Wanted {
  /** The variable, property or file as people know it. */
  readonly name: string;
  /** RFC 6901, into the configuration or the request. */
  readonly pointer: string;
  readonly reference: Reference;
  /** Canonical form of `reference`. */
  readonly text: string;
  readonly kind: 'reference' | 'placeholder';
  /** To a secret that this configuration owns; absent: to anybody's. */
  readonly ownedBy?: string;
}

/** A wanted reference with everybody whose USE it needs. */
export interface AuthorisedWanted extends Wanted {
  readonly authorisers: readonly string[];
  /** The source that was saved; another one under the same name does not inherit the reference. */
  readonly sourceId: string | null;
}

/**
 * Step 1 of a launch: every reference and placeholder of a configuration, in its order.
 * @param configurationId which owns what its fields say it owns
 */
export function collectWanted(fields: readonly Field[], configurationId: string): Wanted[] {
  return fields.flatMap(({ pointer, name, content }): Wanted[] => {
    if (content.kind === 'reference') {
      const { reference } = content;
      const owner = content.isOwned === true ? { ownedBy: configurationId } : {};
      return [{ name, pointer, reference, text: formatReference(reference), kind: 'reference', ...owner }];
    }
    return placeholderKeys(content.text).map((key) => {
      const reference = placeholderReference(key);
      return { name, pointer, reference, text: formatReference(reference), kind: 'placeholder' };
    });
  });
}

/** Names one wanted place: a field can hold several placeholders. */
export function wantedId(wanted: { readonly pointer: string; readonly text: string }): string {
  return `${wanted.pointer} ${wanted.text}`;
}
