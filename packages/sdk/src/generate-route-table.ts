import type { RouteDeclaration } from '@strongroom/contract';
import { routes } from '@strongroom/contract';

/**
 * The text of `route-table.ts`: what the client needs of each route, as plain data. The contract itself brings the
 * schemas' library along, which costs a command line more time than the call it makes.
 */
export function routeTableSource(declared: readonly RouteDeclaration[] = routes): string {
  const rows = declared
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .map((route) => {
      const flags = [
        route.raw === undefined ? [] : ['raw: true'],
        route.status === 204 ? ['empty: true'] : [],
        route.idempotent === true ? ['idempotent: true'] : [],
        route.access.kind === 'public' ? ['isPublic: true'] : [],
      ].flat();
      const fields = [`method: '${route.method}'`, `path: '${route.path}'`, ...flags].join(', ');
      const line = `  ${route.id}: { ${fields} },`;
      if (line.length <= 120) return line;
      return [
        `  ${route.id}: {`,
        ...[`method: '${route.method}'`, `path: '${route.path}'`, ...flags].map((f) => `    ${f},`),
        '  },',
      ].join('\n');
    });
  return `// Generated from the contract by scripts/generate.ts. Do not edit.

export interface RouteRow {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly raw?: true;
  readonly empty?: true;
  readonly idempotent?: true;
  readonly isPublic?: true;
}

export const routeTable = {
${rows.join('\n')}
} as const satisfies Record<string, RouteRow>;
`;
}
