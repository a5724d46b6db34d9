import type { ldapRoutes } from '@strongroom/contract';
import { StrongroomError } from '@strongroom/contract';
import type { HandlersOf } from '../../http/handler.ts';
import type { DirectoryConflict } from '../../identities/directory-principals.ts';
import type { OpenEgress } from '../../integrations/connection.ts';
import type { Tables } from '../../store/tables.ts';
import { credentialState } from '../credential-fields.ts';
import type { FormTester, TestStep, TriedForm } from '../form-test.ts';
import { failedStep } from '../network-step.ts';
import { platformHandlers } from '../platform-handlers.ts';
import { adminScope } from '../platform-use.ts';
import type { ConfigurationService } from '../service.ts';
import { timeText } from '../views.ts';
import { destination, ldapSurface } from './definition.ts';
import { withDirectory } from './directory.ts';
import { LdapFailure, type LdapStep } from './failure.ts';
import type { LdapDocument, LdapInput } from './document.ts';
import type { LdapSync } from './sync.ts';

/** Handlers of the directory. */
export function ldapHandlers(
  service: ConfigurationService<LdapInput, LdapDocument>,
  tester: FormTester<LdapInput, LdapDocument>,
  sync: LdapSync,
  openEgress: OpenEgress,
): HandlersOf<typeof ldapRoutes> {
  const shown = async ({ bindCredential, ...rest }: LdapDocument) => {
    const state = await sync.state();
    const own = { ...rest, bindCredential: credentialState(bindCredential) };
    return state === null ? own : { ...own, sync: syncView(state) };
  };
  const each = platformHandlers(service, shown, async ({ bindCredential: _credential, ...settings }) => {
    const { document } = ldapSurface.normalise(settings, adminScope);
    const { host, port } = destination(document);
    (await openEgress()).checkHost(host, port);
  });
  return {
    showLdap: each.show,
    putLdap: each.put,
    deleteLdap: each.delete,
    preflightLdap: async ({ caller, signal }) => ({
      body: await tester.preflight(caller, adminScope, 'ldap', signal),
    }),
    testLdap: async ({ caller, body, signal }) => {
      const { what, useSaved, ...form } = body;
      // The URL alone: no credential is asked for, nor sent.
      const { bindCredential: _credential, ...bare } = form;
      const isConnection = what === 'connection';
      const input = isConnection ? bare : form;
      const saved = useSaved === true && !isConnection ? 'ldap' : undefined;
      const steps: readonly LdapStep[] = isConnection ? ['connect', 'tls'] : all;
      const attempt = (tried: TriedForm<LdapDocument>) => tryDirectory(openEgress, tried, steps);
      return { body: await tester.test(caller, adminScope, { input, saved, signal }, attempt) };
    },
    syncLdap: async ({ caller, signal }) => {
      await sync.now(caller, signal);
      const state = await sync.state();
      if (state === null) throw new StrongroomError('not_found');
      return { body: syncView(state) };
    },
  };
}

const all = ['connect', 'tls', 'bind', 'search users', 'search groups'] as const;

async function tryDirectory(
  openEgress: OpenEgress,
  { document, credential, signal }: TriedForm<LdapDocument>,
  asked: readonly LdapStep[],
): Promise<TestStep[]> {
  const isEncrypted = document.startTls || document.url.startsWith('ldaps:');
  const names = asked.filter((name) => name !== 'tls' || isEncrypted);
  const found = new Map<LdapStep, string>();
  try {
    await withDirectory(await openEgress(), document, signal, async (connection) => {
      if (!names.includes('bind')) return;
      await connection.bind(document.bindDn, credential('bindCredential'));
      found.set('search users', `${(await connection.users()).items.length} found`);
      found.set('search groups', `${(await connection.groups()).items.length} found`);
    });
    return names.map((name): TestStep => stepOf(name, found));
  } catch (error) {
    if (!(error instanceof LdapFailure)) throw error;
    const at = Math.max(names.indexOf(error.step), 0);
    return names.map((name, index): TestStep => {
      if (index < at) return stepOf(name, found);
      return index === at ? failedStep(name, error.reason, messages[error.reason]) : { name, outcome: 'skipped' };
    });
  }
}

function stepOf(name: LdapStep, found: ReadonlyMap<LdapStep, string>): TestStep {
  const message = found.get(name);
  return { name, outcome: 'ok', ...(message === undefined ? {} : { message }) };
}

const messages: Readonly<Record<string, string>> = {
  'authentication-refused': 'The directory refuses the bind DN or its credential.',
  'permission-refused': 'The directory does not let this name do that.',
  'target-missing': 'The base DN is not there.',
  'filter-refused': 'The directory does not understand the filter.',
  truncated: 'The directory, or the limit here, cut the answer off.',
};

function syncView(row: Tables['directory_syncs']) {
  const { started_at, ended_at, last_success_at, cause, message, outcome, users, groups, changed, conflicts } = row;
  return {
    startedAt: timeText(started_at),
    ...(ended_at === null ? {} : { endedAt: timeText(ended_at) }),
    outcome,
    ...(cause === null ? {} : { cause }),
    ...(message === null ? {} : { message }),
    ...(last_success_at === null ? {} : { lastSuccessAt: timeText(last_success_at) }),
    users,
    groups,
    changed,
    conflicts: JSON.parse(conflicts) as DirectoryConflict[],
  };
}
