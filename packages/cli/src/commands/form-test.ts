import type { CallResult, Client } from '@strongroom/sdk';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { type CredentialFile, readConfigurations, withCredentials } from './configuration-apply.ts';
import type { ConfigurationNoun } from './configuration-noun.ts';
import { printSurfaceTest } from './surface-test.ts';

type Tested = CallResult<'testStorageConfig'>;

/** How the API tries configurations of a kind. */
interface FormTestCalls {
  readonly form: (client: Client, domain: string, body: unknown) => Promise<Tested>;
  readonly change: (client: Client, domain: string, name: string, body: unknown) => Promise<Tested>;
  /** What is saved, as a form without its credentials: what is left out of a change is kept. */
  readonly saved: (client: Client, domain: string, name: string) => Promise<unknown>;
}

interface TestOptions {
  readonly file?: string;
  readonly domain?: string;
  readonly credential?: readonly CredentialFile[];
}

/** `test`, of what is saved, of a manifest, or of what a manifest would change. @param what it tries, as its help begins */
export function addFormTest(
  group: Command,
  cli: Cli,
  noun: ConfigurationNoun,
  what: string,
  calls: FormTestCalls,
): void {
  withCredentials(
    group
      .command(`test [${noun.word}]`)
      .description(
        `${what}, as it is saved, as a manifest says, or as a manifest would change it; exit code 7 when a step fails`,
      )
      .option('-f, --file <file>', 'the manifest, YAML or JSON (- is stdin); nothing of it is kept')
      .option('-d, --domain <domain>', 'the domain, when no manifest names one'),
  ).action(
    cli.action(async ({ io, connect, output }, name: string | undefined, options: TestOptions) => {
      const { file, domain, credential } = options;
      if (file === undefined) {
        if (credential !== undefined) throw new UsageError('--credential goes with --file');
        if (name === undefined || domain === undefined)
          throw new UsageError('it is not said what to try', `Name a ${noun.word} and its --domain, or a --file.`);
        const client = await connect();
        return printSurfaceTest(
          output,
          await calls.change(client, domain, name, await calls.saved(client, domain, name)),
        );
      }
      const known = new Map([[noun.kind, noun]]);
      const [only, second] = await readConfigurations(io, { ...options, file }, known);
      if (only === undefined || second !== undefined) throw new UsageError(`${file} is not one configuration`);
      const client = await connect();
      return printSurfaceTest(
        output,
        name === undefined
          ? await calls.form(client, only.domain, only.body)
          : await calls.change(client, only.domain, name, only.body),
      );
    }),
  );
}
