import type { Client } from '@strongroom/sdk';
import type { Command } from 'commander';
import type { Io } from './io.ts';
import { Output } from './output/output.ts';

/** What a command works with. */
export interface Session {
  readonly io: Io;
  readonly output: Output;
  /** The server, as whoever is signed in. @throws StrongroomError `unauthenticated` */
  readonly connect: () => Promise<Client>;
}

/** Does the command's work; answers its exit code when it isn't 0. */
type Work<Arguments extends readonly unknown[]> = (session: Session, ...args: Arguments) => Promise<number | undefined>;

/** The command line as it is being built and then run once. */
export class Cli {
  readonly io: Io;
  exitCode = 0;
  #output: Output;

  constructor(io: Io) {
    this.io = io;
    this.#output = new Output(io, {});
  }

  get output(): Output {
    return this.#output;
  }

  configure(options: { readonly json?: boolean; readonly verbose?: boolean }): void {
    this.#output = new Output(this.io, options);
  }

  /**
   * Makes work into what commander calls: with the command's arguments, then its options, then the command itself, which
   * is left out.
   */
  action<Arguments extends readonly unknown[]>(work: Work<Arguments>): (...args: unknown[]) => Promise<void> {
    return async (...args) => {
      const { io } = this;
      // Most of what help and offline commands load otherwise belongs to it.
      const connect: Session['connect'] = async () => (await import('./connection.ts')).connect(io);
      const session: Session = { io, output: this.#output, connect };
      // Commander's types don't know what was declared; each command says it where it declares it.
      const given = args.slice(0, -1) as unknown as Arguments;
      this.exitCode = (await work(session, ...given)) ?? 0;
    };
  }
}

/** A group of commands, `strongroom secret …`. */
export function group(program: Command, name: string, summary: string): Command {
  return program.command(name).description(summary).helpCommand(false);
}
