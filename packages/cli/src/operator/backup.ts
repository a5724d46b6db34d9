import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import { isInteractive } from '../io.ts';
import { count } from '../output/text.ts';
import { confirm } from '../prompt.ts';
import { addConfigOption, type ConfigOptions, loadSettings, withServer } from './configuration.ts';

interface RestoreOptions extends ConfigOptions {
  readonly force?: true;
  readonly keepCredentials?: true;
  readonly yes?: true;
}

/** As it is typed in any folder. */
function verifyCommand({ config }: ConfigOptions, dataDir: string): string {
  return `strongroom audit verify ${config === undefined ? `--data-dir ${dataDir}` : `--config ${config}`}`;
}

export function addBackupCommands(program: Command, cli: Cli): void {
  addConfigOption(
    program.command('backup <folder>').description('back the store up into a new folder; the server may run'),
  )
    .addHelpText(
      'after',
      '\nA backup holds ciphertext, the audit record and its anchor. The key file is not in it: keep the key and\nits recovery kit elsewhere, for without one of them a backup opens for nobody.',
    )
    .action(
      cli.action(async ({ io, output }, folder: string, options: ConfigOptions) => {
        const manifest = await withServer((server) =>
          server.backup(loadSettings(server, io, options), resolve(io.cwd, folder)),
        );
        output.answer(manifest, () => {
          output.line(`backed up to ${folder}: ${count(manifest.files.length, 'file')}, epoch ${manifest.epoch}`);
          output.line(`it opens with the key ${manifest.kekId}, which is not in it`);
        });
        return undefined;
      }),
    );
  addConfigOption(program.command('restore [folder]').description('restore a backup; the server is stopped'))
    .option('--force', 'replace a store that is there; it is kept beside the restored one')
    .option('--keep-credentials', 'leave sessions and tokens valid')
    .option('-y, --yes', "don't ask")
    .addHelpText(
      'after',
      '\nThe folder is one that strongroom backup made. Without one, for PostgreSQL: its own tools have restored the\ndatabase, and this starts the new epoch. All sessions and tokens end unless --keep-credentials says otherwise.',
    )
    .action(
      cli.action(async ({ io, output }, folder: string | undefined, options: RestoreOptions) => {
        if (options.yes !== true && isInteractive(io)) {
          await confirm(io, `restore ${folder ?? 'the database'}, and start a new epoch?`);
        }
        const { restored, dataDir } = await withServer(async (server) => {
          const configuration = loadSettings(server, io, options);
          const done = await server.restore(configuration, {
            force: options.force === true,
            keepsCredentials: options.keepCredentials === true,
            ...(folder === undefined ? {} : { backup: resolve(io.cwd, folder) }),
          });
          return { restored: done, dataDir: configuration.settings.dataDir };
        });
        output.answer(restored, () => {
          output.line(`restored; epoch ${restored.epoch} begins`);
          output.line(`ended ${count(restored.endedSessions, 'session')} and ${count(restored.endedTokens, 'token')}`);
        });
        if (restored.anchored !== null) {
          output.note(
            `what happened after the backup is lost, and the record says so: ${verifyCommand(options, dataDir)}`,
          );
        }
        return undefined;
      }),
    );
}
