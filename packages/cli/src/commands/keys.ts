import type { CallResult } from '@strongroom/sdk';
import { Argument, type Command } from 'commander';
import { type Cli, group } from '../cli.ts';
import { UsageError } from '../errors.ts';
import type { ScopeOptions } from '../scope.ts';
import { addScopeOptions, scopeOf } from '../scope.ts';

export function addKeyCommands(program: Command, cli: Cli): void {
  const keys = group(program, 'keys', 'the keys that values are sealed with; no command shows one');
  keys
    .command('status')
    .description('show identifiers, states and counts of keys')
    .action(
      cli.action(async ({ connect, output }) => {
        const status = await (await connect()).showKeys();
        output.answer(status, () => printStatus(output, status));
        return undefined;
      }),
    );
  addScopeOptions(keys.command('rotate').description('put a new key-encryption key, or new value keys, in place'))
    .addArgument(new Argument('<what>', 'kek: the key-encryption key; terms: value keys').choices(['kek', 'terms']))
    .addHelpText(
      'after',
      '\nA new key-encryption key needs a new recovery kit: strongroom recovery create.\nValues are sealed anew in the background after their keys were rotated; keys status counts what is left.',
    )
    .action(
      cli.action(async ({ connect, output }, what: 'kek' | 'terms', options: ScopeOptions) => {
        const isScoped = Object.keys(options).length > 0;
        if (isScoped && what === 'kek') throw new UsageError('the key-encryption key is one for all scopes');
        const scope = isScoped ? scopeOf(options) : undefined;
        const status = await (
          await connect()
        ).rotateKeys({
          body: {
            what,
            ...(scope === undefined ? {} : { scope: scope.kind }),
            ...(scope?.kind === 'domain' ? { domain: scope.params.domain } : {}),
          },
        });
        output.answer(status, () => printStatus(output, status));
        if (what === 'kek') output.note('the recovery kit is out of date: strongroom recovery create');
        return undefined;
      }),
    );
}

function printStatus(output: Cli['output'], status: CallResult<'showKeys'>): void {
  output.facts({
    installation: status.installation,
    'key-encryption key': `${status.keyEncryptionKey.id} (${status.keyEncryptionKey.source})`,
    'recovery kit': status.recoveryConfirmed ? 'made and tried' : 'not confirmed',
    'values to reseal': `${status.valuesToReseal}`,
  });
  output.line();
  output.table(
    [{ title: 'SCOPE' }, { title: 'PURPOSE' }, { title: 'STATE' }, { title: 'TERMS' }, { title: 'USES' }],
    status.terms.map((term) => [term.scope, term.purpose, term.state, `${term.terms}`, `${term.uses}`]),
  );
}
