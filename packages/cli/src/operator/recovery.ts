import { resolve } from 'node:path';
import { type Client, StrongroomError } from '@strongroom/sdk';
import type { Command } from 'commander';
import { type Cli, group, type Session } from '../cli.ts';
import { UsageError } from '../errors.ts';
import { readInput, readStdin, utf8Text } from '../input.ts';
import { isInteractive } from '../io.ts';
import { ask } from '../prompt.ts';
import { addConfigOption, type ConfigOptions, loadSettings, withServer } from './configuration.ts';

const maxKitBytes = 64 * 1024;

export function addRecoveryCommands(program: Command, cli: Cli): void {
  const recovery = group(program, 'recovery', 'a kit that gives the key file back when it is lost');
  addConfigOption(
    recovery.command('create <file>').description('write a recovery kit, and print its recovery key once'),
  ).action(
    cli.action(async ({ io, output }, file: string, options: ConfigOptions) => {
      const made = await withServer((server) =>
        server.makeRecoveryKit(loadSettings(server, io, options), resolve(io.cwd, file)),
      );
      output.answer({ file, ...made }, () => output.line(made.recoveryKey));
      output.note(`write this recovery key down; it is not shown again, and opens ${file} alone`);
      output.note(`keep the two apart, then try them: strongroom recovery confirm ${file}`);
      return undefined;
    }),
  );
  addConfigOption(
    recovery.command('confirm <file>').description('try a kit with its recovery key, and record that it works'),
  ).action(
    cli.action(async (session, file: string, options: ConfigOptions) => {
      const { io, output } = session;
      const kit = await readKit(session, file);
      const recoveryKey = await readRecoveryKey(session);
      const { kekId } = await withServer((server) =>
        server.checkRecoveryKit(loadSettings(server, io, options), kit, recoveryKey),
      );
      await recordConfirmation(session, options, kekId);
      output.answer({ file, kekId, confirmed: true }, () =>
        output.line(`the kit gives the key ${kekId} back; that is recorded`),
      );
      return undefined;
    }),
  );
  addConfigOption(
    recovery.command('restore <file>').description('put the lost key file back; one that is there stays'),
  ).action(
    cli.action(async (session, file: string, options: ConfigOptions) => {
      const { io, output } = session;
      const kit = await readKit(session, file);
      const recoveryKey = await readRecoveryKey(session);
      const restored = await withServer((server) =>
        server.recoverKekFile(loadSettings(server, io, options), kit, recoveryKey),
      );
      output.answer(restored, () => output.line(`restored the key ${restored.kekId} to ${restored.path}`));
      return undefined;
    }),
  );
}

/** In the store when no server has it open, else through that server. */
async function recordConfirmation(session: Session, options: ConfigOptions, kekId: string): Promise<void> {
  const { io } = session;
  try {
    await withServer((server) => server.confirmRecovery(loadSettings(server, io, options)));
  } catch (error) {
    if (!(error instanceof StrongroomError) || error.code !== 'state_conflict') throw error;
    await (await connectInstead(session)).confirmRecoveryKit({ body: { kekId } });
  }
}

async function connectInstead({ connect }: Session): Promise<Client> {
  try {
    return await connect();
  } catch (error) {
    if (!(error instanceof StrongroomError) || error.code !== 'unauthenticated') throw error;
    throw new StrongroomError('unauthenticated', {
      detail: 'The kit works. To record it, the running server is asked, and you are not signed in.',
      hint: 'Run strongroom login and repeat it, or stop the server first.',
    });
  }
}

async function readKit({ io }: Session, file: string): Promise<string> {
  const text = utf8Text(await readInput(io, file, maxKitBytes));
  if (text === undefined) throw new UsageError(`${file} is no recovery kit`);
  return text;
}

/** Typed in the open: it is read from paper, and its checksum finds slips. */
async function readRecoveryKey({ io }: Session): Promise<string> {
  if (isInteractive(io)) return (await ask(io, 'recovery key: ')).trim();
  const text = utf8Text(await readStdin(io, maxKitBytes))?.trim() ?? '';
  if (text === '') throw new UsageError('no recovery key was given', 'Type it on a terminal, or pipe it in.');
  return text;
}
