import { extname } from 'node:path';
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

/** Path of the program `strongroom`, to start a process with: of its bundle where there is one. */
export function strongroomProgram(): string {
  return fileURLToPath(startedModule(new URL('../../cli/src/main.ts', import.meta.url)));
}
