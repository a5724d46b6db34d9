import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A command that is under way for as long as the test wants: `store.execute('test.hold', hold.args)`. It may run in another
 * thread, so that the two hear of each other by files.
 */
export class Hold implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'strongroom-hold-'));

  get args(): { readonly directory: string } {
    return { directory: this.#directory };
  }

  /** Resolves once the command runs. */
  begun(): Promise<void> {
    return appeared(join(this.#directory, 'begun'));
  }

  end(): void {
    writeFileSync(join(this.#directory, 'end'), '');
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** The command's side. */
export async function beHeld(directory: string): Promise<void> {
  writeFileSync(join(directory, 'begun'), '');
  await appeared(join(directory, 'end'));
}

async function appeared(file: string): Promise<void> {
  while (!existsSync(file)) await sleep(5);
}
