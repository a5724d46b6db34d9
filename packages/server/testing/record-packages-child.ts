// With `node --import`: appends the packages that each thread has loaded to the file that PACKAGES_FILE names, when it ends.
import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import process from 'node:process';

const loaded = new Set<string>();
registerHooks({
  load(url, context, next) {
    const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
    if (found !== undefined) loaded.add(found);
    return next(url, context);
  },
});
process.on('exit', () => {
  const file = process.env['PACKAGES_FILE'];
  if (file !== undefined) appendFileSync(file, [...loaded].map((name) => `${name}\n`).join(''));
});
