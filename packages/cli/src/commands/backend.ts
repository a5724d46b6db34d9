import type { Command } from 'commander';
import { type Cli, group } from '../cli.ts';
import { exitCode } from '../exit-codes.ts';
import { count } from '../output/text.ts';
import { addScopeOptions, routeIn, type Scope, scopeOf, type ScopeOptions } from '../scope.ts';
import { collect } from '../values.ts';

interface ConformanceOptions extends ScopeOptions {
  readonly integration: string;
  readonly key?: readonly string[];
  readonly failed?: true;
}

/** Between the end of a run on the server and the end of waiting for it. */
const timeoutMilliseconds = 60_000;

export function addBackendCommands(program: Command, cli: Cli): void {
  const backend = group(program, 'backend', 'what backends of integrations promise');
  addScopeOptions(
    backend
      .command('conformance')
      .description('run the conformance suite against an integration; exit code 7 when a check fails')
      .requiredOption('--integration <name>', 'which one: DOMAIN/NAME, or NAME with its scope'),
  )
    .option('--key <key>', 'a key that is there, to be read; up to 20 (default: the first ones of its list)', collect)
    .option('--failed', 'print only the checks that failed')
    .addHelpText(
      'after',
      '\nThe server runs it, where the credential is. It reads values of a few keys and keeps none, and writes nothing.',
    )
    .action(
      cli.action(async ({ connect, output }, options: ConformanceOptions) => {
        const { scope, name } = integrationOf(options);
        const client = await connect();
        const report = await client[routeIn(scope, 'check', 'IntegrationConformance')]({
          params: { ...scope.params, name },
          body: options.key === undefined ? {} : { keys: [...options.key] },
          timeoutMilliseconds,
        });
        output.answer(report, () => {
          const shown = report.checks.filter(({ outcome }) => options.failed !== true || outcome === 'failed');
          if (shown.length > 0)
            output.table(
              [
                { title: 'CHECK' },
                { title: 'OUTCOME' },
                { title: 'MS' },
                { title: 'REASON', canWrap: true, isOptional: true },
              ],
              shown.map(({ name: check, outcome, durationMilliseconds, reason }) => [
                check,
                outcome,
                `${durationMilliseconds}`,
                reason ?? '',
              ]),
            );
          const failed = report.checks.filter(({ outcome }) => outcome === 'failed').length;
          const passed = report.checks.filter(({ outcome }) => outcome === 'passed').length;
          output.note(`${passed} passed, ${failed} failed, ${count(report.keys, 'key')} read`);
          if (!report.isComplete) output.note('the time was over before the last check');
        });
        return report.ok ? undefined : exitCode.check;
      }),
    );
}

function integrationOf(options: ConformanceOptions): { readonly scope: Scope; readonly name: string } {
  const slash = options.integration.indexOf('/');
  if (slash === -1) return { scope: scopeOf(options), name: options.integration };
  const { domain = options.integration.slice(0, slash), ...scopes } = options;
  return { scope: scopeOf({ ...scopes, domain }), name: options.integration.slice(slash + 1) };
}
