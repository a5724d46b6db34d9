// With `node --import 'file:///…/record-packages-child.ts?file=…'`: appends the packages that a thread loads to that file,
// `main fastify`, `thread kysely`. A thread of the store has none of the process's environment, but the same options.
import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { isMainThread } from 'node:worker_threads';

const file = new URL(import.meta.url).searchParams.get('file');
if (file === null) throw new TypeError('Say where to write: ?file=…');
const loaded = new Set<string>();
registerHooks({
  load(url, context, next) {
    const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
    if (found !== undefined && !loaded.has(found)) {
      loaded.add(found);
      appendFileSync(file, `${isMainThread ? 'main' : 'thread'} ${found}\n`);
    }
    return next(url, context);
  },
});
