import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startedModule } from '../src/store/started-modules.ts';

/** A module of this folder, for a store's threads to load as their program; in a bundle it is beside this one. */
export function testProgram(name: string): URL {
  return new URL(`./${name}${extname(fileURLToPath(import.meta.url))}`, import.meta.url);
}

/** Path of a module of this folder, to start a process with: of its bundle where there is one. */
export function testChild(name: string): string {
  return fileURLToPath(startedModule(testProgram(name)));
}

/**
 * For the environment of a process that a test starts: where compiled code is kept. The same place as for the threads of this
 * one, as what is killed compiles much and keeps nothing.
 */
export const compileCache = {
  NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? join(tmpdir(), 'node-compile-cache'),
};

/** Path of the program `strongroom`, to start a process with: of its bundle where there is one. */
export function strongroomProgram(): string {
  return fileURLToPath(startedModule(new URL('../../cli/src/main.ts', import.meta.url)));
}
