import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Canaries } from '@strongroom/server/testing/canaries.ts';
import { compileCache } from '@strongroom/server/testing/programs.ts';
import { runCommandLine } from '../program.ts';
import { parseScript, splitWords } from './script.ts';
import { scriptIo } from './script-io.ts';

const launcher = fileURLToPath(new URL('../../bin/strongroom.mjs', import.meta.url));
const binFolder = fileURLToPath(new URL('../../../../node_modules/.bin', import.meta.url));

export interface ScriptWorld {
  /** An empty folder of the script's own. */
  readonly folder: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly canaries: Canaries;
  /** What the server logged as an error so far; a failure shows it. */
  readonly serverErrors: () => string;
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** @throws Error naming the line and what was expected */
export async function runScript(name: string, text: string, world: ScriptWorld): Promise<void> {
  const script = parseScript(text);
  const run = new ScriptRun(name, world);
  for (const [file, content] of script.files) run.write(file, content);
  for (const { number, text: line } of script.lines) {
    try {
      await run.step(line);
    } catch (error) {
      throw new Error(`${name}:${number}: ${line}\n${(error as Error).message}\n${world.serverErrors()}`, {
        cause: error,
      });
    }
  }
}

class ScriptRun {
  readonly #name: string;
  readonly #world: ScriptWorld;
  readonly #variables: Map<string, string>;
  readonly #env: Record<string, string | undefined>;
  #stdin: Uint8Array | undefined;
  #typed: readonly string[] | undefined;
  #last: Outcome = { code: 0, stdout: '', stderr: '' };
  #commands = 0;

  constructor(name: string, world: ScriptWorld) {
    this.#name = name;
    this.#world = world;
    this.#variables = new Map(Object.entries(world.variables));
    this.#env = {
      HOME: world.folder,
      PATH: `${binFolder}:/usr/local/bin:/usr/bin:/bin`,
      STRONGROOM_URL: world.variables['URL'],
      TZ: 'UTC',
      XDG_CACHE_HOME: compileCache.NODE_COMPILE_CACHE,
    };
  }

  write(file: string, content: string): void {
    const path = join(this.#world.folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, this.#fill(content));
  }

  async step(line: string): Promise<void> {
    const filled = this.#fill(line);
    const [, code = '0', command] = /^(?:\[(\d+)\] )?((?:strongroom|exec) .*|strongroom)$/.exec(filled) ?? [];
    if (command !== undefined) return this.#command(Number(code), command);
    const isNegated = filled.startsWith('! ');
    const [verb, rest] = splitOnce(isNegated ? filled.slice(2) : filled);
    switch (verb) {
      case 'stdin':
        this.#stdin = Buffer.from(this.#read(rest));
        return;
      case 'type':
        this.#typed = this.#read(rest).split('\n');
        return;
      case 'stdout':
      case 'stderr':
        return this.#match(verb, rest, isNegated);
      case 'json':
        return this.#json(...splitOnce(rest));
      case 'line':
        this.#variables.set(rest, this.#last.stdout.trimEnd());
        return;
      case 'env':
        return this.#setEnv(rest);
      case 'mode':
        return this.#mode(...splitOnce(rest));
      case 'exists':
        expect(
          existsSync(join(this.#world.folder, rest)) !== isNegated,
          `${rest} ${isNegated ? 'is' : 'is not'} there`,
        );
        return;
      case 'allow':
        for (const stream of ['stdout', 'stderr']) this.#world.canaries.allow(rest, this.#where(stream));
        return;
      default:
        throw new Error(`there is no verb ${verb}`);
    }
  }

  async #command(code: number, command: string): Promise<void> {
    const [program = '', ...args] = splitWords(command);
    this.#commands += 1;
    this.#last = program === 'exec' ? await this.#exec(args) : await this.#runHere(args);
    this.#stdin = undefined;
    this.#typed = undefined;
    this.#world.canaries.saw(this.#where('stdout'), this.#last.stdout);
    this.#world.canaries.saw(this.#where('stderr'), this.#last.stderr);
    expect(this.#last.code === code, `exit ${this.#last.code}, not ${code}\n${this.#last.stdout}${this.#last.stderr}`);
  }

  async #runHere(args: readonly string[]): Promise<Outcome> {
    const io = scriptIo({
      env: this.#env,
      cwd: this.#world.folder,
      ...(this.#stdin === undefined ? {} : { stdin: this.#stdin }),
      ...(this.#typed === undefined ? {} : { typed: this.#typed }),
    });
    const code = await runCommandLine(args, io);
    return { code, stdout: io.stdout.text, stderr: io.stderr.text };
  }

  async #exec([program = '', ...args]: readonly string[]): Promise<Outcome> {
    const [file, argv] = program === 'strongroom' ? ['node', [launcher, ...args]] : [program, args];
    const child = spawn(file, argv, { cwd: this.#world.folder, env: this.#env, stdio: ['pipe', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString('utf8')));
    // A program may end without having read anything.
    child.stdin.on('error', () => undefined);
    child.stdin.end(this.#stdin ?? '');
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status) => resolve(status ?? -1));
    });
    return { code, ...output };
  }

  #match(stream: 'stdout' | 'stderr', pattern: string, isNegated: boolean): void {
    const text = this.#last[stream];
    expect(new RegExp(pattern, 'm').test(text) !== isNegated, `${stream} was:\n${text}`);
  }

  #json(name: string, path: string): void {
    let value: unknown = JSON.parse(this.#last.stdout);
    for (const part of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[part];
    expect(value !== undefined, `there is no ${path} in:\n${this.#last.stdout}`);
    this.#variables.set(name, typeof value === 'string' ? value : JSON.stringify(value));
  }

  #setEnv(text: string): void {
    const [name = '', value = ''] = text.split(/=(.*)/s);
    this.#env[name] = value === '' ? undefined : value;
  }

  #mode(file: string, mode: string): void {
    const found = (statSync(join(this.#world.folder, file)).mode & 0o777).toString(8);
    expect(found === mode, `${file} has mode ${found}`);
  }

  #read(file: string): string {
    const path = join(this.#world.folder, file);
    expect(existsSync(path), `there is no file ${file}`);
    return readFileSync(path, 'utf8');
  }

  #fill(text: string): string {
    return text.replaceAll(/\$\{([A-Z][A-Z0-9_]*)\}/g, (_, name: string) => {
      const known = this.#variables.get(name);
      if (known !== undefined) return known;
      if (!name.startsWith('CANARY_')) throw new Error(`there is no variable ${name}`);
      const value = this.#world.canaries.plain(name);
      this.#variables.set(name, value);
      return value;
    });
  }

  #where(stream: string): string {
    return `${this.#name} command ${this.#commands} ${stream}`;
  }
}

function splitOnce(text: string): [string, string] {
  const blank = text.indexOf(' ');
  return blank === -1 ? [text, ''] : [text.slice(0, blank), text.slice(blank + 1)];
}

function expect(isTrue: boolean, message: string): void {
  if (!isTrue) throw new Error(message);
}
