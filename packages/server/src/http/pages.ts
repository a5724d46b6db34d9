import type { FastifyInstance } from 'fastify';
import { readFile } from 'node:fs/promises';
import { packageRoot } from '../package-root.ts';
import { createHeaderSetter } from './answer.ts';
import { apiHeaders, pageHeaders } from './headers.ts';

/** A file of this server's own that browsers show. Pages know nothing of data: everything comes through the API. */
export interface Page {
  readonly path: string;
  readonly mediaType: string;
  readonly body: Buffer;
}

const files: readonly { readonly paths: readonly string[]; readonly file: string; readonly mediaType: string }[] = [
  { paths: ['/', '/signin'], file: 'signin.html', mediaType: 'text/html; charset=utf-8' },
  { paths: ['/assets/signin.css'], file: 'signin.css', mediaType: 'text/css; charset=utf-8' },
  { paths: ['/assets/signin.js'], file: 'signin.js', mediaType: 'text/javascript; charset=utf-8' },
  { paths: ['/assets/mark.svg'], file: 'mark.svg', mediaType: 'image/svg+xml' },
];

/** Reads the pages once; no request ever reaches the file system. */
export async function loadPages(): Promise<Page[]> {
  const pages = await Promise.all(
    files.map(async ({ paths, file, mediaType }) => {
      const body = await readFile(new URL(`assets/${file}`, packageRoot));
      return paths.map((path) => ({ path, mediaType, body }));
    }),
  );
  return pages.flat();
}

export function registerPages(fastify: FastifyInstance, pages: readonly Page[], isHttps: boolean): void {
  const setHeaders = createHeaderSetter({ ...apiHeaders(isHttps), ...pageHeaders(isHttps) });
  for (const page of pages)
    fastify.get(page.path, (_request, reply) => {
      setHeaders(reply);
      reply.header('content-type', page.mediaType).send(page.body);
    });
}
