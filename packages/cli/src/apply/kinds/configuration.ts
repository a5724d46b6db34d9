import type { Client, ItemOf } from '@strongroom/sdk';
import { StrongroomError } from '@strongroom/sdk';
import { type ConfigurationNoun, nouns, type Shown } from '../../commands/configuration-noun.ts';
import { count } from '../../output/text.ts';
import { changesBetween, type FieldChange } from '../diff.ts';
import {
  type Applied,
  type ApplyContext,
  creation,
  hitBy,
  managerOf,
  type ObjectKind,
  orAbsent,
  type Planned,
  problemOf,
  type StepsBefore,
} from '../kind.ts';
import type { Manifest } from '../manifest.ts';

/** What is shown of a configuration beside what its manifest is about. */
const kept: ReadonlySet<string> = new Set([
  'id',
  'name',
  'domain',
  'revision',
  'createdAt',
  'createdBy',
  'updatedAt',
  'updatedBy',
  'actions',
  'warnings',
  'running',
  'suspended',
  'deleted',
]);

/** Configurations of every surface; those that others use come before those. */
export const configurationKinds: readonly ObjectKind[] = [...nouns.values()].map((noun): ObjectKind => ({
  kind: noun.kind,
  word: noun.word,
  place: 'domain',
  namedBy: ['name'],
  rank: noun.launch === undefined ? 60 : 70,
  plan: (context, manifest) => planConfiguration(context, noun, manifest),
  managed: async ({ client, manager }, { scope, domain }) => {
    if (scope !== 'domain') return [];
    const input = { params: { domain }, query: { limit: 200 } };
    const found: readonly ItemOf<'listSparkJobs'>[] = (await orAbsent(noun.all(client, input))) ?? [];
    return (
      found
        // A connection that is deleted softly is listed as suspended.
        .filter((each) => each.managedBy === manager && !(noun.kind === 'connection' && each.suspended))
        .map(({ name, revision }) => ({
          name,
          obstacle: (before) => usersOf(client, noun, domain, name, before),
          remove: () => noun.delete(client, domain, name, revision, false),
        }))
    );
  },
}));

/** Whoever uses it once the steps before are done: while there is somebody, it is not deleted. */
async function usersOf(
  client: Client,
  { kind, impact: read }: ConfigurationNoun,
  domain: string,
  name: string,
  before: StepsBefore,
): Promise<string | undefined> {
  if (read === undefined) return undefined;
  const [hit] = await hitBy(() => read(client, domain, name));
  if (hit === undefined) return undefined;
  const { configurations, hidden } = hit.impact;
  const users = configurations
    .filter(({ via = [] }) => via.includes(`${kind}/${name}`))
    .filter(({ surface, configuration }) => {
      if (before.deletes(surface, configuration)) return false;
      const manifest = before.manifestOf(surface, configuration);
      return manifest === undefined || listed(manifest.body['storageConfigs']).includes(name);
    })
    .map(({ surface, configuration }) => `${surface}/${configuration}`);
  const unseen = hidden.configurations;
  if (users.length + unseen === 0) return undefined;
  const who = [...users, ...(unseen === 0 ? [] : [`${count(unseen, 'configuration')} that you may not see`])];
  return `it will be refused while it is used by ${who.join(', ')}; first take it out of storageConfigs there`;
}

function listed(names: unknown): readonly unknown[] {
  return Array.isArray(names) ? names : [];
}

async function planConfiguration(context: ApplyContext, noun: ConfigurationNoun, manifest: Manifest): Promise<Planned> {
  const { client, manager } = context;
  const { domain, name, body } = manifest;
  const before = await orAbsent(noun.show(client, domain, name));
  if (before === undefined) {
    const whole = { ...body, managedBy: manifest.managedBy ?? manager };
    const { problem } = await problemOf(noun.previewCreation(client, domain, whole));
    return {
      outcome: 'create',
      changes: creation(body, ['name']),
      ...(problem === undefined ? {} : { problem: unseen(problem) }),
      apply: async () => appliedOf('created', await noun.create(client, domain, whole)),
    };
  }
  const managedBy = managerOf(manifest, before.managedBy, context);
  const whole = { ...body, ...(managedBy === undefined ? {} : { managedBy }) };
  const change = (changes: readonly FieldChange[], problem?: StrongroomError): Planned => ({
    outcome: 'change',
    changes,
    ...(problem === undefined ? {} : { problem }),
    apply: async () => {
      const after = await noun.update(client, domain, name, whole, before.revision);
      return appliedOf(after.revision === before.revision ? 'unchanged' : 'changed', after);
    },
  });
  try {
    const after = await noun.preview(client, domain, name, whole, before.revision);
    if (after.revision === before.revision) return { outcome: 'unchanged', applied: appliedOf('unchanged', after) };
    return change([...changesBetween(fieldsOf(before), fieldsOf(after)), ...typedIn(body)]);
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    return change([], error);
  }
}

/** What is there and is not shown has a name all the same. */
function unseen(problem: StrongroomError): StrongroomError {
  if (problem.code !== 'already_exists') return problem;
  return new StrongroomError(problem.code, {
    ...(problem.detail === undefined ? {} : { detail: problem.detail }),
    hint: 'You may not see it: VIEW is missing. Who owns its bundle, or manages access, can grant it.',
  });
}

function fieldsOf(shown: Shown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(shown).filter(([field]) => !kept.has(field)));
}

/** Credentials that are given with it; in place of one of its own nothing else shows. */
export function typedIn(body: Readonly<Record<string, unknown>>): FieldChange[] {
  return Object.entries(body).flatMap(([field, content]) =>
    'set' in (Object(content) as object) ? [{ field, to: 'a new value' }] : [],
  );
}

function appliedOf(outcome: Applied['outcome'], object: Shown): Applied {
  return { outcome, object, revision: object.revision, warnings: object.warnings };
}
