import { formatReference, StrongroomError } from '@strongroom/contract';
import type { ScopeRef } from '../access/types.ts';
import { FieldProblems } from '../surfaces/definition.ts';
import { readReference, type SecretInput } from '../surfaces/reference-input.ts';
import type { AuthorisedWanted } from './wanted.ts';

/** What a workload asks a launch for: references, or a saved configuration; one of them. */
export interface LaunchBody {
  readonly references?: readonly { readonly name: string; readonly reference: SecretInput }[] | undefined;
  readonly sparkJob?: string | undefined;
  readonly configuration?: { readonly surface: string; readonly name: string } | undefined;
}

export interface Asked {
  readonly job?: {
    readonly id: string;
    readonly surface: string;
    readonly name: string;
    readonly revision: number;
  };
  readonly wanted: readonly AuthorisedWanted[];
}

export function requireOne({ references, sparkJob, configuration }: LaunchBody): void {
  if ([references, sparkJob, configuration].filter((each) => each !== undefined).length === 1) return;
  throw new StrongroomError('validation_failed', {
    errors: [{ pointer: '', message: 'Give one of "references", "configuration" and "sparkJob".' }],
  });
}

export function configurationIn({ sparkJob, configuration }: LaunchBody): LaunchBody['configuration'] {
  return sparkJob === undefined ? configuration : { surface: 'spark-job', name: sparkJob };
}

export function askedReferences(
  callerId: string,
  domain: ScopeRef,
  references: readonly { readonly name: string; readonly reference: SecretInput }[],
): Asked {
  const problems = new FieldProblems();
  const names = new Set<string>();
  const wanted: AuthorisedWanted[] = [];
  for (const [index, { name, reference: input }] of references.entries()) {
    const pointer = `/references/${index}/reference`;
    if (names.has(name)) problems.add(`/references/${index}/name`, 'The name is there twice.');
    names.add(name);
    const reference = readReference(input, pointer, problems, domain);
    if (reference !== undefined)
      wanted.push({
        name,
        pointer,
        reference,
        text: formatReference(reference),
        kind: 'reference',
        authorisers: [callerId],
        sourceId: null,
      });
  }
  if (problems.errors.length > 0) throw new StrongroomError('validation_failed', { errors: problems.errors });
  return { wanted };
}

/**
 * One name for each value delivered: variables, properties and files under their own names, of a name that occurs in two
 * lists the later ones with the list before it; a placeholder once, as it is written.
 */
export function uniqueNames(wanted: readonly AuthorisedWanted[]): AuthorisedWanted[] {
  const named = new Map<string, AuthorisedWanted>();
  for (const item of wanted) {
    const list = item.pointer.split('/')[1] ?? '';
    if (item.kind === 'placeholder') {
      const name = `\${secrets.${item.reference.key}}`;
      const known = named.get(name);
      const authorisers = [...new Set([...(known?.authorisers ?? []), ...item.authorisers])];
      named.set(name, { ...(known ?? item), name, authorisers });
    } else named.set(named.has(item.name) ? `${list}/${item.name}` : item.name, item);
  }
  return [...named].map(([name, item]) => ({ ...item, name }));
}
