// Writes the files that are made from the program's own tables. With --check it writes nothing and names those that differ.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorsPage, openapi, permissionsPage, routes, routesPage } from '@strongroom/contract';
import { version } from '@strongroom/server';
import { cliReference } from '../packages/cli/src/reference.ts';
import { routeTableSource } from '../packages/sdk/src/generate-route-table.ts';
import { configurationPage } from '../packages/server/src/config/reference-page.ts';
import { helmSettingNames, helmValuesSchema } from './helm-values-schema.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

const files: Readonly<Record<string, string>> = {
  'docs/reference/openapi.json': `${JSON.stringify(openapi(routes, version), null, 1)}\n`,
  'docs/reference/errors.md': errorsPage(),
  'docs/reference/permissions.md': permissionsPage(),
  'docs/reference/routes.md': routesPage(routes),
  'docs/reference/configuration.md': configurationPage(),
  'docs/reference/cli.md': await cliReference(),
  'packages/sdk/src/route-table.ts': routeTableSource(),
  'deploy/helm/strongroom/values.schema.json': helmValuesSchema(),
  'deploy/helm/strongroom/templates/_settings.tpl': helmSettingNames(),
};

const isCheck = process.argv.includes('--check');
const stale = Object.entries(files).filter(([path, text]) => {
  const file = join(root, path);
  return !existsSync(file) || readFileSync(file, 'utf8') !== text;
});
for (const [path, text] of stale) {
  if (!isCheck) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  process.stdout.write(`${isCheck ? 'out of date' : 'written'}: ${path}\n`);
}
if (isCheck && stale.length > 0) process.exitCode = 1;
